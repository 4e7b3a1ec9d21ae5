"""One program that watches many cameras: what it consists of, put together and taken apart."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from functools import partial
from selectors import DefaultSelector
from typing import Self

import psutil

from streamvc._version import __version__
from streamvc.capture.address import redact
from streamvc.capture.opencv import one_opencv_thread
from streamvc.errors import PublishError
from streamvc.events import Event, Health
from streamvc.health import NOT_WATCHED
from streamvc.inference.batching import shared_opener
from streamvc.inference.model_cache import ModelCache
from streamvc.node.camera import Channels, Plan
from streamvc.node.changes import Changes, compare
from streamvc.node.connection import capture_settings
from streamvc.node.contained import Contained
from streamvc.node.decoder import ProcessDecoder
from streamvc.node.fork_server import DecoderForkServer
from streamvc.node.hub import Hub
from streamvc.node.meter import Meter
from streamvc.node.scheduler import FrameScheduler
from streamvc.node.settings import CameraConfig, NodeConfig
from streamvc.node.status import Resources, Snapshot
from streamvc.node.web import Web
from streamvc.node.worker import InferenceWorker
from streamvc.node.worker_pool import WorkerPool
from streamvc.publish.cloudevents import decode
from streamvc.publish.publisher import Publisher
from streamvc.recording import Recorder
from streamvc.session import Session
from streamvc.sinks.runner import run_sinks
from streamvc.threads import ChannelClosed, Worker

DRAIN_S = 1.0  # for the last events to arrive at sinks: a node has to stop within five seconds
NICENESS = 5  # of workers: decoders go first, as of what waits for a worker the newest is kept, and what is not read piles up
HUNG_S = 10.0  # without a sign of life of the hub, after which the node is not healthy


class Node:
    """Watches the cameras of its configuration, from now until `close`; which those are can be changed by `apply` meanwhile.

    Attributes:
        endpoint: Where it publishes, with the real port.
        http: Where it answers over HTTP, likewise; None for nowhere.
        failure: Which part of it has failed, in words; it has to be started again then. None while all work.
    """

    def __init__(self, config: NodeConfig) -> None:
        """Start.

        Raises:
            StreamvcError: Something of it cannot be used: a model, an endpoint, a sink, a folder. A camera that cannot be reached is no error.
        """
        self._started = time.monotonic()
        self._process = psutil.Process()
        self._config = config.model_copy(update={"cameras": ()})
        self.failure: str | None = None
        opener = shared_opener()
        self._models = [ModelCache(opener) for _ in range(config.limits.workers)]
        self._meter = Meter()
        self._published = Contained("publishing", self._publish, self._tell_of_publishing)
        self._plans: dict[str, Plan] = {}
        self._labels: Mapping[str, Sequence[str]] = _labels(config)
        with ExitStack() as opened:
            opened.enter_context(one_opencv_thread())
            self._publisher = opened.enter_context(_publisher(config))
            kept, sinks = self._publisher.kept, config.sinks
            sinks_problem = opened.enter_context(
                run_sinks(kept, sinks, site=config.site, node=config.node, labels=lambda: self._labels, drain_s=DRAIN_S)
            )
            opened.callback(self._publisher.flush)
            scheduler = FrameScheduler[Session](config.limits.staleness_s)
            fork_server = opened.enter_context(DecoderForkServer())
            channels = Channels(partial(ProcessDecoder, fork_server), DefaultSelector(), scheduler, partial(self._publisher.report, wait=False))
            pool = WorkerPool(partial(self._worker_thread, scheduler))
            self._hub = Hub(
                config.node,
                channels,
                num_connecting=config.limits.connecting,
                watches=[pool.watch, fork_server.watch],
                other_problem=lambda: redact(sinks_problem() or "") or None,
            )
            opened.callback(pool.close)
            num_workers = config.limits.workers
            for number in range(2 * num_workers):  # to each belongs one that is idle, until a camera is too slow for the others
                relief = num_workers + number if number < num_workers else None
                pool.add(InferenceWorker(number, scheduler, publish=self._published, failed=self._hub.fail, relief=relief))
            opened.enter_context(Worker("hub", self._supervised(self._hub.run), self._hub.close))
            self.apply(config)
            self._tell_of_the_gone()
            web = opened.enter_context(closing(self._web(config.http, config.http_hosts))) if config.http else None
            self._opened = opened.pop_all()
        self.endpoint = self._publisher.endpoint
        self.http = web.address if web else None

    def apply(self, config: NodeConfig) -> Changes:
        """Add, remove and change cameras to what this configuration says; the others are not touched. For one thread at a time.

        A camera of which only thresholds have changed is not connected anew, and what goes on there goes on.

        Returns:
            What has changed, and what else would have to.

        Raises:
            StreamvcError: A model cannot be used, for instance. Nothing is changed then.
        """
        changes = compare(self._config, config)
        gone, new = {*changes.removed, *changes.changed}, {*changes.added, *changes.changed}
        kept = {name: plan for name, plan in self._plans.items() if name not in gone}
        with ExitStack() as opened:
            for camera in config.cameras:
                if camera.name in changes.retuned:
                    kept[camera.name] = replace(kept[camera.name], config=camera)
                elif camera.name in new:
                    kept[camera.name] = self._plan(camera, kept.values())
                    opened.callback(_close_recorder, kept[camera.name].session)
            self._labels = _labels(config)  # before a sink hears that a camera has gone
            self._hub.change([*changes.removed, *changes.changed], [kept[name] for name in (*changes.added, *changes.changed)])
            opened.pop_all()
        for name in changes.retuned:
            kept[name].session.retune([use.thresholds for use in kept[name].config.models])
        self._plans = {camera.name: kept[camera.name] for camera in config.cameras}
        self._config = self._config.model_copy(update={"cameras": config.cameras})
        return changes

    def snapshot(self) -> Snapshot:
        """How it fares now. May be called from any thread."""
        now = time.monotonic()
        watched = self._hub.cameras
        # One that was just added may not be watched yet, one that was just removed still be.
        cameras = tuple(watched[name].status(now) for name in self._plans if name in watched)
        problem = self.problem() or self._publisher.problem or self._published.problem or self._hub.problem
        return Snapshot(
            site=self._config.site,
            node=self._config.node,
            version=__version__,
            time=time.time(),
            uptime_s=now - self._started,
            state="degraded" if problem else "up" if self._hub.is_ready else "starting",
            detail=problem,
            cameras=cameras,
            latency=self._meter.latency,
            age=self._meter.age,
            events=self._meter.num_events,
            unsent=self._publisher.num_dropped,
            resources=_resources(self._process),
        )

    def problem(self) -> str | None:
        """Why it does not work and should be started again; None while it does. May be called from any thread, and never waits."""
        if self.failure:
            return self.failure
        silent_s = time.monotonic() - self._hub.turned
        return f"nothing was heard of its hub for {silent_s:.0f} s" if silent_s > HUNG_S else None

    def close(self) -> None:
        """Stop: what goes on is ended, published and delivered. Takes less than five seconds."""
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _plan(self, camera: CameraConfig, others: Iterable[Plan]) -> Plan:
        """Load what a camera needs, for the worker that has least to do."""
        loads = [0.0] * len(self._models)
        for plan in others:
            loads[plan.worker] += sum(plan.session.rates_hz)
        worker = loads.index(min(loads))
        limits, recording = self._config.limits, self._config.recording
        with ExitStack() as opened:
            recorder = opened.enter_context(Recorder(camera.name, recording.recording)) if recording else None
            session = Session(
                [use.name for use in camera.models],
                camera=camera.name,
                thresholds=[use.thresholds for use in camera.models],
                rate_hz=camera.rate_hz,
                recorder=recorder,
                runtime=limits.runtime,
                threads=limits.threads,
                opener=self._models[worker].open,
            )
            opened.pop_all()
        settings = replace(capture_settings(camera, session.rates_hz, session.picture_input), staleness_s=limits.staleness_s, policy="latest")
        return Plan(camera, session, settings, worker)

    def _worker_thread(self, scheduler: FrameScheduler[Session], worker: InferenceWorker) -> Worker:
        run = self._supervised(partial(self._meter.measure, worker.steps))
        return Worker(f"inference-{worker.number}", run, scheduler.close, niceness=NICENESS)

    def _tell_of_the_gone(self) -> None:
        """Cameras of runs before that are not watched any more are told to be so, once."""
        known = {*self._plans, self._config.node}
        for message in self._publisher.log.last("health"):
            with suppress(PublishError):  # it is of another version
                if message.topic.camera not in known and getattr(decode(message.body), "detail", None) != NOT_WATCHED:
                    self._publisher.report(Health(message.topic.camera, "ended", "stop", NOT_WATCHED, None, None, 0, seq=None, epoch=None))

    def _web(self, address: str, hosts: Sequence[str]) -> Web:
        return Web(address, self.snapshot, self.problem, self._meter.registry, hosts)

    def _publish(self, event: Event) -> None:
        self._publisher.publish(event, wait=False)
        self._meter.published()

    def _tell_of_publishing(self) -> None:
        """An event cannot be published, or those that follow can again."""
        problem = self._published.problem
        with suppress(PublishError):  # it says that it is closed
            health = Health(self._config.node, "degraded" if problem else "up", None, problem, None, None, 0, seq=None, epoch=None)
            self._publisher.report(health, wait=False)

    def _supervised(self, run: Callable[[], None]) -> Callable[[], None]:
        """A thread's target that leaves word when it fails: the node lacks a part from then on."""

        def supervised() -> None:
            try:
                run()
            except ChannelClosed:
                raise
            except Exception as error:
                # The first is the cause of those that follow.
                self.failure = self.failure or f"a part of the node has failed: {type(error).__name__}: {error}"
                raise

        return supervised


def _labels(config: NodeConfig) -> dict[str, tuple[str, ...]]:
    return {camera.name: camera.labels for camera in config.cameras}


def _close_recorder(session: Session) -> None:
    if session.recorder:
        session.recorder.close()


def _publisher(config: NodeConfig) -> Publisher:
    return Publisher(config.publish, site=config.site, node=config.node, log=config.log, keys=config.keys, insecure=config.insecure)


def _resources(process: psutil.Process) -> Resources:
    with process.oneshot():
        times = process.cpu_times()
        return Resources(process.memory_info().rss, times.user + times.system, process.num_threads(), process.num_fds())
