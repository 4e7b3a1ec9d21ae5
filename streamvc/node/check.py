"""Tries what a configuration names, once: can each camera be read, does each model run, and is there time for all of it?"""

import selectors
import statistics
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from streamvc.capture.address import redact
from streamvc.capture.messages import Arrived, Finished, MotionSettings, Opened
from streamvc.capture.video_file import LONGEST_GOP_S
from streamvc.errors import StreamvcError
from streamvc.health import is_sparse
from streamvc.inference.bundle import load_bundle
from streamvc.inference.recognizer import Recognizer
from streamvc.node.connection import capture_settings, too_far_apart
from streamvc.node.decoder import Decoder, ProcessDecoder
from streamvc.node.fork_server import DecoderForkServer
from streamvc.node.settings import CameraConfig, Limits, NodeConfig
from streamvc.publish.keys import load_server
from streamvc.sampling import GAP_S
from streamvc.sinks.opening import read_address
from streamvc.types import Frame

RATE_HZ = 5.0  # any will do: the first picture is always wanted
GRACE_S = 2.0  # for a decoder to start, and to say that it has given up
NUM_STEPS = 12  # frames that a model is timed on
NO_PICTURE = np.full((360, 640, 3), 127, np.uint8)  # is shown to a model where no camera of its own has one

Image = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class CameraFound:
    """What came of trying a camera.

    Attributes:
        name: Its name.
        source: Where it is, without a password.
        size: Width and height of its pictures in pixels; None where there was none.
        fps: As announced; None where nothing is.
        codec: Short name; None where there is none.
        first_picture_s: Seconds until a picture was there; None where there was none.
        problem: Why there was none; None where all is well.
    """

    name: str
    source: str
    size: tuple[int, int] | None
    fps: float | None
    codec: str | None
    first_picture_s: float | None
    problem: str | None


@dataclass(frozen=True, slots=True)
class ModelFound:
    """What came of trying a model: its rate and what a frame costs, in seconds of a worker; or what is wrong."""

    name: str
    rate_hz: float | None
    frame_s: float | None
    problem: str | None


@dataclass(frozen=True, slots=True)
class Findings:
    """All that was found.

    Attributes:
        cameras: In the order of the configuration.
        models: Each once.
        load: Share of the workers' time that all cameras need at most, if something moves in each of them all the time.
        problems: What is wrong besides.
    """

    cameras: tuple[CameraFound, ...]
    models: tuple[ModelFound, ...]
    load: float
    problems: tuple[str, ...]

    @property
    def is_well(self) -> bool:
        """Whether nothing is wrong."""
        found = [camera.problem for camera in self.cameras] + [model.problem for model in self.models]
        return not self.problems and not any(found)


def check(config: NodeConfig) -> Findings:
    """Try all cameras that are enabled, at their schedule or not, and all models. Takes as long as the slowest camera's time-out, or some of them.

    Raises:
        NodeError: A node cannot run on this system.
    """
    enabled = [camera for camera in config.cameras if camera.enabled]
    found: dict[str, CameraFound] = {}
    pictures: dict[str, Image] = {}  # for each model, of one of its cameras
    for trial in _try_cameras(enabled, config.limits.connecting):
        found[trial.camera.name] = trial.found()
        if trial.picture is not None:
            pictures = {use.name: trial.picture for use in trial.camera.models} | pictures
    cameras = tuple(found[camera.name] for camera in enabled)
    names = dict.fromkeys(use.name for camera in enabled for use in camera.models)
    models = {name: _try_model(name, config.limits, pictures.get(name, NO_PICTURE)) for name in names}
    problems = (*_try_rates(enabled), *_try_keys(config), *_try_sinks(config))
    return Findings(cameras, tuple(models.values()), _load(enabled, models, config.limits.workers), problems)


def _try_rates(cameras: Sequence[CameraConfig]) -> Iterator[str]:
    """Whether the rates that are set are enough for the models."""
    for camera in cameras:
        for use in camera.models:
            try:
                manifest = load_bundle(use.name).manifest
            except StreamvcError:  # told of the model
                continue
            try:
                manifest.check_rate(camera.rate_hz)
            except StreamvcError as error:
                yield f"{camera.name}: {error}"


def _try_keys(config: NodeConfig) -> Iterator[str]:
    try:
        if config.keys:
            load_server(config.keys)
    except StreamvcError as error:
        yield str(error)


def _try_sinks(config: NodeConfig) -> Iterator[str]:
    """Whether their addresses can be used; nothing is sent."""
    for address in config.sinks:
        try:
            read_address(address, site=config.site, node=config.node)
        except StreamvcError as error:
            yield str(error)


def _try_cameras(cameras: Sequence[CameraConfig], at_once: int) -> Iterator["_Trial"]:
    """Try cameras, some at a time; each as soon as it is clear what comes of it."""
    waiting, going = deque(cameras), set[_Trial]()
    with DecoderForkServer() as fork_server, selectors.DefaultSelector() as selector:
        while waiting or going:
            while waiting and len(going) < at_once:
                trial = _begin(waiting.popleft(), fork_server)
                going.add(trial)
                selector.register(trial.decoder, selectors.EVENT_READ, trial)
            first = min(trial.deadline for trial in going)
            for key, _ in selector.select(max(0.0, first - time.monotonic())):
                key.data.hear()
            for trial in [trial for trial in going if trial.is_over(time.monotonic())]:
                going.remove(trial)
                selector.unregister(trial.decoder)
                trial.decoder.close()
                yield trial


@dataclass(slots=True, eq=False)
class _Trial:
    """One camera that is being tried."""

    camera: CameraConfig
    decoder: Decoder
    started: float = field(default_factory=time.monotonic)
    opened: Opened | None = None
    picture: Image | None = None
    first_picture_s: float | None = None
    problem: str | None = None
    is_done: bool = False
    shown: float | None = None  # stream time of the first picture

    @property
    def deadline(self) -> float:
        first = self.started + self.camera.open_timeout_s + GRACE_S
        return first if self.first_picture_s is None else self.started + self.first_picture_s + LONGEST_GOP_S

    def hear(self) -> None:
        for said in self.decoder.receive():
            match said:
                case Opened():
                    self.opened = said
                    if said.fps and is_sparse(said.fps):
                        self.problem = too_far_apart(1 / said.fps, "all")
                case Arrived():
                    self._take(said)
                case Finished(reason, detail) if self.picture is None:
                    self.problem = "there is no picture in it" if reason == "end_of_stream" else redact(detail, self.camera.address)
                case Finished():
                    self.is_done = True

    def is_over(self, now: float) -> bool:
        return self.is_done or self.problem is not None or now >= self.deadline

    def found(self) -> CameraFound:
        opened, problem = self.opened, self.problem
        if self.picture is None and problem is None:
            problem = f"there was no picture within {self.camera.open_timeout_s + GRACE_S:g} s"
        elif problem is None and not self.is_done:
            problem = too_far_apart(LONGEST_GOP_S, self.camera.decode)
        size, fps, codec = (opened.size, opened.fps, opened.codec) if opened else (None, None, None)
        return CameraFound(self.camera.name, redact(self.camera.address), size, fps, codec, self.first_picture_s, problem)

    def _take(self, arrived: Arrived) -> None:
        if arrived.frame is not None and self.picture is None:
            self.picture = arrived.frame.image.copy()
            self.first_picture_s = time.monotonic() - self.started
            self.shown = arrived.due.timestamp
            self.is_done = self.camera.decode != "keyframes"  # of these, the next says how far apart they are
        elif self.shown is not None:
            self.is_done = True
            if arrived.due.timestamp - self.shown > GAP_S:
                self.problem = too_far_apart(arrived.due.timestamp - self.shown, self.camera.decode)
        arrived.release()


def _begin(camera: CameraConfig, fork_server: DecoderForkServer) -> _Trial:
    settings = replace(capture_settings(camera, (RATE_HZ,)), motion=MotionSettings(gate=False))
    return _Trial(camera, ProcessDecoder(fork_server, settings))


def _try_model(name: str, limits: Limits, picture: Image) -> ModelFound:
    try:
        recognizer = Recognizer.load(name, runtime=limits.runtime, threads=limits.threads)
        return ModelFound(name, recognizer.bundle.manifest.rate_hz, _frame_s(recognizer, picture), None)
    except StreamvcError as error:
        return ModelFound(name, None, None, str(error))


def _frame_s(recognizer: Recognizer, picture: Image) -> float:
    """What a frame costs, as most do: the median."""
    durations = []
    for index in range(NUM_STEPS):
        began = time.perf_counter()
        recognizer.step(Frame(index, index / recognizer.bundle.manifest.rate_hz, picture))
        durations.append(time.perf_counter() - began)
    return statistics.median(durations)


def _load(cameras: Sequence[CameraConfig], models: dict[str, ModelFound], num_workers: int) -> float:
    busy_s = 0.0
    for camera in cameras:
        for use in camera.models:
            found = models[use.name]
            if found.rate_hz is not None and found.frame_s is not None:
                busy_s += found.frame_s * min(found.rate_hz, camera.rate_hz or found.rate_hz)
    return busy_s / num_workers
