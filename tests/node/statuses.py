"""A node's status, as an example."""

from streamvc.node.meter import Meter
from streamvc.node.status import CameraStatus, Distribution, Resources, Snapshot
from streamvc.node.worker import Step
from streamvc.session import Session

YARD = CameraStatus(
    name="yard",
    source="rtsp://***@192.0.2.7/stream",
    models=("cctv-fight-fast",),
    priority="normal",
    state="running",
    state_s=3700.0,
    detail=None,
    size=(640, 360),
    codec="h264",
    fps_in=25.0,
    due_hz=5.0,
    rate_hz=4.9,
    received=1000,
    corrupt=1,
    analysed=150,
    still=40,
    dropped={"replaced": 7, "stale": 3},
    connections=2,
    gaps=1,
    deaths=0,
    memory_bytes=52_000_000,
    activities=("fight",),
    top=(("fight", 0.91), ("normal", 0.09)),
)
GATE = CameraStatus(
    name="gate",
    source="rtsp://192.0.2.8/stream",
    models=("cctv-fight-fast",),
    priority="low",
    state="lost",
    state_s=12.0,
    detail="the connection was refused",
    size=None,
    codec=None,
    fps_in=0.0,
    due_hz=0.0,
    rate_hz=0.0,
    received=0,
    corrupt=0,
    analysed=0,
    still=0,
    dropped={"replaced": 0, "stale": 0},
    connections=5,
    gaps=0,
    deaths=0,
    memory_bytes=None,
    activities=(),
    top=(),
)


def meter(*frames: tuple[float, float]) -> Meter:
    """One that was told of frames: how old each was when its turn came, and how long it took from there, all of it in the extractors."""
    measured, session = Meter(), Session("figure")
    for age_s, features_s in frames:
        done = age_s + features_s
        step = Step("yard", session, None, (), True, captured=0, decoded=0, taken=age_s, featured=done, decided=done, published=done)
        measured.measure(lambda step=step: [step])  # type: ignore[misc]
    return measured


def distribution(*durations_s: float) -> Distribution:
    return meter(*((0.0, duration_s) for duration_s in durations_s)).latency["features"]


SNAPSHOT = Snapshot(
    site="shop",
    node="node-1",
    version="1.0",
    time=1795289575.12,
    uptime_s=93784.0,
    state="up",
    detail=None,
    cameras=(YARD, GATE),
    latency={"features": distribution(0.004, 0.004, 0.007), "total": distribution(0.009, 0.012, 0.02)},
    age=distribution(0.003, 0.004, 3.0),
    events=17,
    unsent=0,
    resources=Resources(memory_bytes=150_000_000, cpu_s=12.5, threads=9, descriptors=40),
)
