"""What a decoder process does: reads a stream, and tells the node of each picture that is due."""

import math
import os
import select
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlsplit

import numpy as np

from streamvc.capture.address import redact
from streamvc.capture.source import open_stream
from streamvc.capture.stream import Picture, Stream
from streamvc.capture.timeline import Arrivals, paced
from streamvc.capture.video import SEGMENT_TIMEOUT_S
from streamvc.errors import AccessError, SourceError
from streamvc.node.lateness import Lateness
from streamvc.node.messages import Absence, DecoderSettings, Due, Finished, Message, Opened, Started, decode_settings, encode
from streamvc.node.motion import FreezeDetector, MotionGate, fingerprint, shrink, small_size
from streamvc.node.naps import Naps
from streamvc.node.ring import Ring, new_memory
from streamvc.node.waits import Waits
from streamvc.node.zones import Zones
from streamvc.sampling import GAP_S, Sampler
from streamvc.types import Frame

MARGIN_S = 2.0  # seconds beyond the time-outs of the reading itself, after which a decoder hangs
SPARE_S = 0.5  # seconds beyond those after which a picture is analysed in any case, that its keyframe may come late
RETRY_S = 0.001  # seconds between two looks for a free slot, of what can wait: nobody is told when one is given back
NO_IMAGE = np.empty((0, 0, 3), np.uint8)


class HungUp(Exception):  # noqa: N818 - an end, not an error
    """The node has closed its end of the connection."""


class Line:
    """The decoder's end of the connection."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._poller = select.poll()
        self._poller.register(connection, select.POLLRDHUP)

    def say(self, message: Message, descriptors: tuple[int, ...] = ()) -> None:
        """Send a message; waits where the node is far behind.

        Raises:
            HungUp: Nobody is there.
        """
        try:
            socket.send_fds(self._connection, [encode(message)], descriptors)
        except OSError as error:
            raise HungUp from error

    def wait_until(self, moment: float) -> None:
        """Wait until `time.monotonic()` is `moment`.

        Raises:
            HungUp: Nobody is there any more.
        """
        if self._poller.poll(max(0, math.ceil((moment - time.monotonic()) * 1000))):
            raise HungUp


def run(connection: socket.socket, settings: bytes) -> None:
    """Read one connection of a camera until it ends or the node hangs up."""
    line = Line(connection)
    try:
        line.say(Started(os.getpid()))
        line.say(_read(decode_settings(settings), line))
    except HungUp:
        pass
    except Exception as error:  # handed over to the node
        line.say(Finished("died", f"{type(error).__name__}: {redact(str(error))}"))


def _read(settings: DecoderSettings, line: Line) -> Finished:
    try:
        with open_stream(
            settings.source, open_timeout_s=settings.open_timeout_s, read_timeout_s=settings.read_timeout_s, decode=settings.decode
        ) as stream:
            Reading(settings, stream, line).run()
    except AccessError as error:
        return Finished("refused", str(error))
    except SourceError as error:
        return Finished("lost", str(error))
    return Finished("end_of_stream", "the recording is over")


class Reading:
    """Takes the pictures of an open stream."""

    def __init__(self, settings: DecoderSettings, stream: Stream, line: Line) -> None:
        self._settings = settings
        self._stream = stream
        self._line = line
        self._zones = Zones(settings.include, settings.exclude)
        self._samplers = [Sampler(rate_hz) for rate_hz in settings.rates_hz]
        self._arrivals = Arrivals()
        self._wall_s = time.time() - time.monotonic()
        self._is_timeless = not (stream.is_live or settings.pace)
        self._num_received = self._num_corrupt = self._num_dropped = 0
        self._shape = (0, 0, 3)
        self._last_timestamp = self._last_captured = 0.0
        self._may_nap = not (self._is_timeless or _comes_as_datagrams(settings.source))
        self._naps = Naps(settings.rates_hz)
        self._lateness = Lateness(settings.staleness_s)
        if stream.rest:
            stream.rest.longest_s = settings.motion.keep_alive_s + SPARE_S
        self._waits = Waits()
        self._ring: Ring  # set with the shape of the first picture
        self._gate: MotionGate
        self._freeze: FreezeDetector

    def run(self) -> None:
        """Read to the end.

        Raises:
            SourceError: The stream was lost, or there is no picture in it.
            HungUp: The node has.
        """
        for index, picture in enumerate(self._pictures()):
            if picture is None:
                self._num_corrupt += 1
                continue
            self._num_received += 1
            if picture.shape != self._shape:
                self._begin(picture.shape)
            was_waited_for = index > 0 and self._waits.was_needed(picture.read)  # the first may have lain there, nobody knows
            picture = self._note_arrival(picture, was_waited_for)
            if self._is_due(index, picture):
                self._tell(index, picture)
                self._nap(picture, was_waited_for)
            self._waits.begin()
        if not self._num_received:
            raise SourceError(f"{self._settings.name}: no picture in it can be decoded")

    def _pictures(self) -> Iterator[Picture | None]:
        held = self._stream.in_bursts or not (self._stream.is_live or self._is_timeless)
        pictures = self._stream.pictures
        return paced(pictures, self._line.wait_until, as_camera=not self._stream.is_live) if held else pictures

    def _nap(self, picture: Picture, was_waited_for: bool) -> None:
        if self._may_nap and picture.clock != "arrival":
            asked, now = self._waits.asked, time.monotonic()
            self._line.wait_until(self._naps.until(picture.timestamp, picture.captured, asked, now, was_waited_for=was_waited_for))

    def _begin(self, shape: tuple[int, int, int]) -> None:
        """Pictures of this shape come from now on."""
        height, width, _ = self._shape = shape
        descriptor = new_memory(height, width)
        self._ring = Ring(descriptor, height, width)
        self._line.say(Opened((width, height), self._stream.fps, self._stream.codec, self._stream.is_live, self._silence_s()), (descriptor,))
        os.close(descriptor)
        self._gate = MotionGate(self._settings.motion, self._zones.mask(*small_size(height, width)))
        self._freeze = FreezeDetector(self._settings.frozen_s)

    def _silence_s(self) -> float:
        settings = self._settings
        return max(settings.open_timeout_s, settings.read_timeout_s, SEGMENT_TIMEOUT_S if self._stream.in_bursts else 0.0) + MARGIN_S

    def _tell(self, index: int, picture: Picture) -> None:
        absence = self._absence(picture)
        slot = None if absence else self._claim()
        if slot is not None:
            image = self._ring.slot(slot)
            picture.write(image)
            self._zones.apply(image)
        elif absence in (None, "late"):
            self._gate.reset()  # nobody knows this one: the next must be seen
        if slot is None and absence is None:
            self._num_dropped += 1
        else:
            self._line.say(self._due(slot, absence, index, picture))

    def _note_arrival(self, picture: Picture, was_waited_for: bool) -> Picture:
        """Learn when stream time began, anew where it has jumped, and when the picture came; skip what lies there when there is too much of it."""
        step_s = picture.timestamp - self._last_timestamp
        waited_s = picture.captured - self._last_captured
        if step_s < 0 or (step_s > GAP_S and abs(step_s - waited_s) > GAP_S):
            self._arrivals = Arrivals()
        self._last_timestamp, self._last_captured = picture.timestamp, picture.captured
        if not self._is_timeless:
            came = self._lateness.step(picture.timestamp, picture.clock, picture.read, was_waited_for=was_waited_for)
            picture = replace(picture, captured=min(picture.captured, came))
            if self._stream.rest:
                self._stream.rest.skips = self._lateness.is_hopeless
        self._arrivals.step(picture.timestamp, picture.captured)
        return picture

    def _is_due(self, index: int, picture: Picture) -> bool:
        frame = Frame(index, picture.timestamp, NO_IMAGE)
        samples = [sample for sampler in self._samplers if (sample := sampler.step(frame))]
        if any(sample.gap_s for sample in samples):
            self._gate.reset()  # whoever analyses the pictures has forgotten the last one
        return bool(samples)

    def _absence(self, picture: Picture) -> Absence | None:
        """Why nobody is to see the picture."""
        if not self._is_timeless and time.monotonic() - picture.captured > self._settings.staleness_s:
            return "late"
        if picture.unseen:
            return picture.unseen
        if not (self._settings.frozen_s or self._settings.motion.gate):
            return None
        luma = picture.luma()
        small = shrink(luma)
        frozen = self._freeze.step(fingerprint(luma, small), picture.timestamp)
        still = not self._gate.step(small, picture.timestamp)
        if frozen:
            self._gate.reset()  # the first picture behind it is let through
        if self._stream.rest and self._settings.motion.rest:
            self._stream.rest.wanted = self._gate.is_closed
        return "frozen" if frozen else "still" if still else None

    def _claim(self) -> int | None:
        """A slot for the picture; None where all are in use, and the stream does not wait."""
        while (slot := self._ring.claim()) is None and self._is_timeless:
            self._line.wait_until(time.monotonic() + RETRY_S)
        return slot

    def _due(self, slot: int | None, absence: Absence | None, index: int, picture: Picture) -> Due:
        return Due(
            slot=slot,
            absence=absence,
            index=index,
            timestamp=picture.timestamp,
            clock=picture.clock,
            captured=picture.captured,
            decoded=time.monotonic(),
            epoch_s=0.0 if self._is_timeless else self._wall_s + self._arrivals.start,
            received=self._num_received,
            corrupt=self._num_corrupt,
            dropped=self._num_dropped,
        )


def _comes_as_datagrams(source: str) -> bool:
    """Whether what is not read soon is lost."""
    scheme, _, _, query, _ = urlsplit(source)
    return scheme.lower() in ("udp", "srt") or query.startswith(("udp", "multicast"))
