"""A node's status, and what is measured in it, as Prometheus metrics. A scrape takes one snapshot; between two nothing is kept here."""

from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from streamvc.node.lifecycle import LEGAL
from streamvc.node.status import CameraStatus, Snapshot

CONTENT_TYPE = CONTENT_TYPE_LATEST

# Name without `streamvc_camera_`, what it is, and where it is from.
COUNTERS: tuple[tuple[str, str, Callable[[CameraStatus], float]], ...] = (
    ("frames_received", "Frames received from the camera.", lambda camera: camera.received),
    ("frames_corrupt", "Received frames that were damaged.", lambda camera: camera.corrupt),
    ("frames_analysed", "Frames analysed.", lambda camera: camera.analysed),
    ("frames_still", "Frames that were due for analysis and showed nothing new.", lambda camera: camera.still),
    ("connections", "Connections to the camera.", lambda camera: camera.connections),
    ("gaps", "Interruptions, at which the state of its recognisers was reset.", lambda camera: camera.gaps),
    ("decoder_deaths", "Decoders that crashed, hung or were killed.", lambda camera: camera.deaths),
)
GAUGES: tuple[tuple[str, str, Callable[[CameraStatus], float]], ...] = (
    ("received_hz", "Frames/s received, over the last seconds.", lambda camera: camera.fps_in),
    ("due_hz", "Frames/s that were to be analysed.", lambda camera: camera.due_hz),
    ("analysed_hz", "Frames/s analysed, or known to show nothing new.", lambda camera: camera.rate_hz),
    ("decoder_memory_bytes", "Memory of its decoder, with its part of what all decoders share.", lambda camera: camera.memory_bytes or 0),
    ("activities", "Activities that go on there now.", lambda camera: len(camera.activities)),
)


class Metrics:
    """Writes metrics. They lie in a registry of their own, so that a program with metrics can hold a node."""

    def __init__(self, snapshot: Callable[[], Snapshot], registry: CollectorRegistry) -> None:
        """Write what is in the registry, and beside it what snapshots hold."""
        self._registry = registry
        registry.register(_Node(snapshot))
        ProcessCollector(registry=registry)  # process_resident_memory_bytes, process_open_fds and their like

    def text(self) -> bytes:
        """All of them now, in Prometheus' text form."""
        return generate_latest(self._registry)


class _Node(Collector):
    def __init__(self, snapshot: Callable[[], Snapshot]) -> None:
        self._snapshot = snapshot

    def describe(self) -> Iterable[Metric]:
        """None; without this, registering would already ask for a snapshot."""
        return ()

    def collect(self) -> Iterator[Metric]:
        snapshot = self._snapshot()
        yield from _node(snapshot)
        yield from _states(snapshot)
        yield from _cameras(snapshot)


def _node(snapshot: Snapshot) -> Iterator[Metric]:
    yield InfoMetricFamily("streamvc_node", "The node.", {"site": snapshot.site, "node": snapshot.node, "version": snapshot.version})
    yield GaugeMetricFamily("streamvc_node_degraded", "Whether the node lacks something, 0 or 1.", int(snapshot.state == "degraded"))
    yield GaugeMetricFamily("streamvc_node_threads", "Threads of the node's own process.", snapshot.resources.threads)
    yield CounterMetricFamily("streamvc_unsent", "Messages not sent to subscribers, because too many waited.", snapshot.unsent)


def _states(snapshot: Snapshot) -> Iterator[Metric]:
    totals = GaugeMetricFamily("streamvc_cameras", "Cameras in this state.", labels=["state"])
    states = GaugeMetricFamily("streamvc_camera_state", "Whether the camera is in this state, 0 or 1.", labels=["camera", "state"])
    for state in LEGAL:
        totals.add_metric([state], sum(camera.state == state for camera in snapshot.cameras))
        for camera in snapshot.cameras:
            states.add_metric([camera.name, state], int(camera.state == state))
    yield totals
    yield states


def _cameras(snapshot: Snapshot) -> Iterator[Metric]:
    for name, description, value in COUNTERS:
        yield _filled(CounterMetricFamily(f"streamvc_camera_{name}", description, labels=["camera"]), snapshot, value)
    for name, description, value in GAUGES:
        yield _filled(GaugeMetricFamily(f"streamvc_camera_{name}", description, labels=["camera"]), snapshot, value)
    dropped = CounterMetricFamily("streamvc_camera_frames_dropped", "Frames due for analysis and not used, by reason.", labels=["camera", "reason"])
    for camera in snapshot.cameras:
        for reason, count in camera.dropped.items():
            dropped.add_metric([camera.name, reason], count)
    yield dropped


def _filled(
    family: CounterMetricFamily | GaugeMetricFamily, snapshot: Snapshot, value: Callable[[CameraStatus], float]
) -> CounterMetricFamily | GaugeMetricFamily:
    for camera in snapshot.cameras:
        family.add_metric([camera.name], value(camera))
    return family
