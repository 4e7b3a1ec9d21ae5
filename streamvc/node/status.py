"""How a node fares, as values: what `/status` says in JSON, the metrics are made of, and `streamvc node status` shows."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

import urllib3
from pydantic import TypeAdapter, ValidationError

from streamvc.errors import NodeError

TIMEOUT_S = 5.0

NodeState = Literal["starting", "up", "degraded"]


@dataclass(frozen=True, slots=True)
class CameraStatus:
    """How a camera fares.

    Attributes:
        name: Its name.
        source: Where it is, without a password.
        models: What its frames are analysed by.
        priority: `high`, `normal` or `low`.
        state: `connecting`, `running`, `stalled`, `frozen`, `lost` or `disabled`.
        state_s: For how long; of one that is `lost` or being connected: for how long it has been away.
        detail: What happened last, in words; None where there is nothing to say.
        size: Width and height of its pictures in pixels; None while unknown.
        codec: How they are encoded; None while unknown.
        fps_in: Frames/s received, over the last seconds.
        due_hz: Frames/s that were to be analysed.
        rate_hz: Frames/s that were analysed, or known to show the same as the one before.
        received: Frames received so far, in all connections, as the following.
        corrupt: Those of them that were damaged.
        analysed: Frames analysed.
        still: Frames that were due, and showed nothing new.
        dropped: Frames that were due and not used, by reason: `replaced` by a newer one, `stale`, `no_slot` in the ring, or read too `late`.
        connections: How often it was connected.
        gaps: How often it was interrupted.
        deaths: How often its decoder crashed, hung or was killed.
        memory_bytes: Of its decoder, with its part of what all decoders share; None where there is none.
        activities: What goes on there now.
        top: The best labels with their scores, best first; empty while warming up.
    """

    name: str
    source: str
    models: tuple[str, ...]
    priority: str
    state: str
    state_s: float
    detail: str | None
    size: tuple[int, int] | None
    codec: str | None
    fps_in: float
    due_hz: float
    rate_hz: float
    received: int
    corrupt: int
    analysed: int
    still: int
    dropped: Mapping[str, int]
    connections: int
    gaps: int
    deaths: int
    memory_bytes: int | None
    activities: tuple[str, ...]
    top: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Resources:
    """What the node's own process uses; its decoders are counted with their cameras."""

    memory_bytes: int
    cpu_s: float
    threads: int
    descriptors: int


@dataclass(frozen=True, slots=True)
class Distribution:
    """How durations are distributed.

    Attributes:
        bounds_s: Upper bounds, rising, in seconds.
        counts: How many lie at or below each bound and above the one before; one more count for what is above the last.
        sum_s: Of all that was counted.
    """

    bounds_s: tuple[float, ...]
    counts: tuple[int, ...]
    sum_s: float

    @property
    def count(self) -> int:
        """How many were counted."""
        return sum(self.counts)

    def quantile(self, share: float) -> float | None:
        """The bound that so large a share (0 to 1) lies at or below; infinity beyond the last one, None where nothing was counted."""
        if not self.count:
            return None
        wanted = share * self.count
        return next((bound for bound, reached in zip(self.bounds_s, accumulate(self.counts), strict=False) if reached >= wanted), float("inf"))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """How a node fares at one moment.

    Attributes:
        site: Its site.
        node: Its name.
        version: Of streamvc.
        time: The moment, in Unix seconds.
        uptime_s: For how long it has run.
        state: `starting` until each camera was connected once or could not be, then `up`, or `degraded`: it goes on, but lacks something.
        detail: What it lacks, in words; None where it lacks nothing.
        cameras: All cameras, in the order of the configuration.
        latency: How long frames took, by stage: `decode`, `wait`, `features`, `decide`, `publish`, and all of them together, `total`.
        age: How old frames were when their analysis began.
        events: Events published so far.
        unsent: Messages that were not sent to subscribers, because too many waited; they are in the log.
        resources: What it uses.
    """

    site: str
    node: str
    version: str
    time: float
    uptime_s: float
    state: NodeState
    detail: str | None
    cameras: tuple[CameraStatus, ...]
    latency: Mapping[str, Distribution]
    age: Distribution
    events: int
    unsent: int
    resources: Resources

    def to_json(self) -> bytes:
        """The snapshot as JSON, in UTF-8."""
        return ADAPTER.dump_json(self)

    @classmethod
    def parse(cls, text: str | bytes) -> "Snapshot":
        """What `to_json` wrote; fields that are not known are ignored.

        Raises:
            NodeError: This is no status of a node.
        """
        try:
            return ADAPTER.validate_json(text)
        except ValidationError as error:
            raise NodeError("this is not the status of a streamvc node; does another program answer at that address?") from error


ADAPTER: TypeAdapter[Snapshot] = TypeAdapter(Snapshot)


def fetch(address: str, timeout_s: float = TIMEOUT_S) -> Snapshot:
    """Ask a running node how it fares.

    Args:
        address: Where it listens: `127.0.0.1:7791`.
        timeout_s: Seconds to wait for an answer.

    Raises:
        NodeError: No node answers there.
    """
    url = f"http://{address.removeprefix('http://').rstrip('/')}/status"
    try:  # never by a proxy: that reaches neither this machine nor those of this network
        answer = urllib3.request("GET", url, timeout=timeout_s, retries=False)
    except (urllib3.exceptions.HTTPError, OSError) as error:
        cause = error.__cause__ or error
        words = (isinstance(cause, OSError) and cause.strerror) or str(cause).strip() or type(cause).__name__
        raise NodeError(f"no node answers at {address} ({words}); is it running, and is that the `http` of its configuration?") from error
    return Snapshot.parse(answer.data)
