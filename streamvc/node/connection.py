"""What is received of one camera, connection by connection."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from selectors import EVENT_READ, BaseSelector
from typing import Any

import psutil

from streamvc.capture.messages import Arrived, CaptureSettings, Due, Finished, MotionSettings, Opened
from streamvc.capture.stream import Decode
from streamvc.errors import NodeError
from streamvc.health import is_sparse
from streamvc.inference.manifest import ImageInput
from streamvc.node.decoder import Decoder, OpenDecoder, Said
from streamvc.node.settings import CameraConfig

logger = logging.getLogger(__name__)

MEMORY_S = 15.0  # for which what a decoder uses is not measured again: that takes a millisecond or two


@dataclass(frozen=True, slots=True)
class _Memory:
    pid: int
    until: float
    num_bytes: int | None


class DecoderConnection:
    """Connects to a camera, by one decoder at a time, and counts what comes. For one thread; its attributes and properties may be read by any.

    Attributes:
        opened: What is known of the stream; None while it is not connected.
        num_sizes: How many sizes its pictures have had in this connection.
        received: Pictures that came whole, in all connections, also those that were left undecoded.
        due: Those that a model was to look at.
        corrupt: Pictures that were damaged.
        unplaced: Those that were due, but found no place in the ring.
        late: Those that were due, but read too late, or left out to catch up.
        apart_s: Seconds between the last two that were due, in this connection; 0.0 where there were no two.
    """

    def __init__(self, settings: CaptureSettings, open_decoder: OpenDecoder, selector: BaseSelector, owner: Any) -> None:
        """Not connected yet.

        Args:
            settings: What decoders are told.
            open_decoder: Starts one.
            selector: Hears them.
            owner: Is the selector's data for them.
        """
        self.opened: Opened | None = None
        self.num_sizes = 0
        self.received = self.corrupt = self.due = self.unplaced = self.late = 0
        self._settings = settings
        self._open_decoder = open_decoder
        self._selector = selector
        self._owner = owner
        self._decoder: Decoder | None = None
        self._memory: _Memory | None = None
        self._counted = (0, 0, 0)  # by this decoder, when it was last heard
        self.apart_s = 0.0
        self._due_at: float | None = None  # of the last one that was, in stream time
        self._is_warned = False

    @property
    def is_on(self) -> bool:
        """There is a decoder, connected or about to be."""
        return self._decoder is not None

    def memory_bytes(self, now: float) -> int | None:
        """What the decoder uses, as it was some seconds ago at most; None where there is none."""
        decoder = self._decoder
        if decoder is None or decoder.pid is None:
            return None
        if self._memory is None or self._memory.pid != decoder.pid or now >= self._memory.until:
            self._memory = _Memory(decoder.pid, now + MEMORY_S, _memory_bytes(decoder.pid))
        return self._memory.num_bytes

    def connect(self) -> Finished | None:
        """Start a decoder; says why where that is not possible."""
        self._counted, self.num_sizes, self.apart_s, self._due_at = (0, 0, 0), 0, 0.0, None
        try:
            self._decoder = self._open_decoder(self._settings)
        except NodeError as error:
            return Finished("lost", str(error))
        self._selector.register(self._decoder, EVENT_READ, self._owner)
        return None

    def receive(self) -> Iterator[Said]:
        """What the decoder has said since the last call; with a `Finished`, which is the last, it is disconnected."""
        for said in self._decoder.receive() if self._decoder else ():
            match said:
                case Opened():
                    self.opened = said
                    self.num_sizes += 1
                    if said.fps and is_sparse(said.fps) and not self._is_warned:  # it is known before there are any
                        self._is_warned = True
                        apart = too_far_apart(1 / said.fps, self._settings.decode)
                        logger.warning("%s: %s", self._settings.name, apart, extra={"camera": self._settings.name})
                case Arrived():
                    self._count(said.due)
                case Finished():
                    self.disconnect()
            yield said

    def kill(self) -> None:
        """End a decoder that hangs; it is `Finished` soon."""
        if self._decoder:
            self._decoder.kill()

    def disconnect(self) -> None:
        """Let the decoder go."""
        self.opened = None
        if self._decoder:
            self._selector.unregister(self._decoder)
            self._decoder.close()
            self._decoder = None

    def _count(self, due: Due) -> None:
        (received, corrupt, unplaced), self._counted = self._counted, (due.received, due.corrupt, due.dropped)
        self.received += due.received - received
        self.corrupt += due.corrupt - corrupt
        self.unplaced += due.dropped - unplaced
        self.due += due.dropped - unplaced + due.is_due
        self.late += due.absence == "late"
        if due.is_due:
            self.apart_s = 0.0 if self._due_at is None else due.timestamp - self._due_at
            self._due_at = due.timestamp


def too_far_apart(apart_s: float, decode: Decode) -> str:
    """What is wrong with pictures that come so far apart, and what helps."""
    if decode == "keyframes":
        what_helps = "say `decode: reference`, or let the camera send one a second"
        return f"its keyframes are {apart_s:.1f} s apart, so that nothing can be recognised; {what_helps}"
    return f"its pictures are {apart_s:.1f} s apart, so that nothing can be recognised: each model needs one a second at least"


def capture_settings(config: CameraConfig, rates_hz: tuple[float, ...], picture: ImageInput | None = None) -> CaptureSettings:
    """What a camera's decoder is told; `picture` is how its pictures may be brought to size."""
    motion = config.motion
    return CaptureSettings(
        name=config.name,
        source=config.address,
        rates_hz=rates_hz,
        fps=config.fps,
        include=config.zones.include,
        exclude=config.zones.exclude,
        motion=MotionSettings(motion.gate, motion.sensitivity, motion.settle_s, motion.keep_alive_s, motion.rest),
        frozen_s=config.frozen_s,
        decode=config.decode,
        open_timeout_s=config.open_timeout_s,
        read_timeout_s=config.read_timeout_s,
        size_px=picture.size_px if picture else None,
        resize=picture.resize if picture else "linear",
    )


def _memory_bytes(pid: int) -> int | None:
    """What is its own, and its part of what it shares with others: that is most, as decoders are forked from one process."""
    try:
        return int(psutil.Process(pid).memory_full_info().pss)
    except psutil.Error:  # it has just ended
        return None
