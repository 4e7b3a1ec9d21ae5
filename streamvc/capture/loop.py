"""The capture loop: takes the pictures of an open stream, and hands on those that are wanted. It runs in a thread, or in a process of its own."""

import time
from collections.abc import Callable, Iterator
from typing import Protocol
from urllib.parse import urlsplit

import cv2
import numpy as np

from streamvc.capture.blocking import BlockingDetector
from streamvc.capture.lateness import Lateness
from streamvc.capture.messages import Absence, CaptureSettings, Due, Finished, Opened
from streamvc.capture.motion import FreezeDetector, MotionGate, fingerprint, shrink, small_size
from streamvc.capture.opening import open_stream
from streamvc.capture.stream import Picture, Stream, check_size
from streamvc.capture.timeline import Arrivals, paced, polled
from streamvc.capture.video import SEGMENT_TIMEOUT_S
from streamvc.capture.wakeups import WakeupScheduler
from streamvc.capture.zones import Zones
from streamvc.errors import AccessError, SourceError
from streamvc.sampling import Sampler
from streamvc.types import Array

MARGIN_S = 2.0  # seconds beyond the time-outs of the reading itself, after which a decoder hangs
SPARE_S = 0.5  # seconds beyond those after which a picture is analysed in any case, that its keyframe may come late
INTERPOLATION = {"linear": cv2.INTER_LINEAR, "area": cv2.INTER_AREA}
NO_IMAGE = np.empty((0, 0, 3), np.uint8)


class Receiver(Protocol):
    """Whoever takes the pictures. All methods raise `ChannelClosed` when nobody does any more."""

    def open(self, opened: Opened) -> None:
        """Pictures of this size come from now on."""

    def put(self, due: Due, write: Callable[[Array], None] | None) -> bool:
        """Take a picture, which `write` puts into an array of its size, or the word that there is none. False where there is no room for it."""

    def wait_until(self, moment: float) -> None:
        """Wait until `time.monotonic()` is `moment`."""


def capture(settings: CaptureSettings, receiver: Receiver) -> Finished:
    """Open a stream and read it to its end; says how it ended.

    Raises:
        ChannelClosed: Nobody takes its pictures any more.
    """
    timeouts = {"open_timeout_s": settings.open_timeout_s, "read_timeout_s": settings.read_timeout_s}
    try:
        with open_stream(settings.source, fps=settings.fps, decode=settings.decode, **timeouts) as stream:
            CaptureLoop(settings, stream, receiver).run()
    except AccessError as error:
        return Finished("refused", str(error))
    except SourceError as error:
        return Finished("lost", str(error))
    return Finished("end_of_stream", "the recording is over")


class CaptureLoop:
    """Takes the pictures of an open stream."""

    def __init__(self, settings: CaptureSettings, stream: Stream, receiver: Receiver) -> None:
        self._settings = settings
        self._stream = stream
        self._receiver = receiver
        self._is_camera = stream.is_live or settings.play == "as_camera"
        self._policy = settings.policy or ("latest" if self._is_camera else "every")
        self._zones = Zones(settings.include, settings.exclude)
        self._samplers = [Sampler(rate_hz) for rate_hz in settings.rates_hz]
        self._arrivals = Arrivals()
        self._num_received = self._num_corrupt = self._num_dropped = 0
        self._shape = (0, 0, 3)
        self._newest = 0.0  # stream time of the last picture that was not there before
        self._may_nap = self._is_camera and not (settings.all_pictures or _comes_as_datagrams(settings.source))
        self._wakeups = WakeupScheduler(settings.rates_hz)
        self._lateness = Lateness(settings.staleness_s)
        if stream.rest:
            stream.rest.longest_s = settings.motion.keep_alive_s + SPARE_S
        self._blocking = BlockingDetector()
        self._gate: MotionGate  # set with the shape of the first picture
        self._freeze: FreezeDetector

    def run(self) -> None:
        """Read to the end.

        Raises:
            SourceError: The stream was lost, or there is no picture in it.
            ChannelClosed: Nobody takes its pictures any more.
        """
        for index, picture in enumerate(self._pictures()):
            if picture is None:
                self._num_corrupt += 1
                continue
            if picture.unseen == "same":
                self._tell_same(index, picture)
                continue
            self._newest = picture.timestamp
            self._num_received += 1
            if picture.shape != self._shape:
                self._begin(picture.shape)
            was_waited_for = index > 0 and self._blocking.was_needed(picture.read)  # the first may have lain there, nobody knows
            self._note_arrival(picture, was_waited_for)
            is_due = self._is_due(picture)
            if is_due or self._settings.all_pictures:
                self._tell(index, picture, is_due)
            if is_due:
                self._nap(picture, was_waited_for)
            self._blocking.begin()
        if not self._num_received:
            raise SourceError(f"{self._settings.name}: no picture in it can be decoded")

    def _pictures(self) -> Iterator[Picture | None]:
        pictures, play = self._stream.pictures, self._settings.play
        if self._stream.poll_s:
            return polled(pictures, self._receiver.wait_until, self._stream.poll_s)
        if self._stream.is_live:
            return paced(pictures, self._receiver.wait_until) if self._stream.in_bursts else pictures
        return pictures if play == "unpaced" else paced(pictures, self._receiver.wait_until, as_camera=play == "as_camera")

    def _nap(self, picture: Picture, was_waited_for: bool) -> None:
        if self._may_nap and picture.clock != "arrival":
            asked, now, lag_s = self._blocking.asked, time.monotonic(), self._lateness.lag_s
            self._receiver.wait_until(self._wakeups.until(picture.timestamp, lag_s, asked, now, was_waited_for=was_waited_for))

    def _begin(self, shape: tuple[int, int, int]) -> None:
        """Pictures of this shape come from now on."""
        height, width, _ = self._shape = shape
        check_size(self._settings.name, width, height)
        stream = self._stream
        handed = (self._settings.size_px,) * 2 if self._settings.size_px else (width, height)
        self._whole = np.empty(shape, np.uint8)
        opened = Opened(
            size=(width, height),
            handed_size=handed,
            fps=stream.fps,
            codec=stream.codec,
            is_live=stream.is_live,
            silence_s=self._silence_s(),
            policy=self._policy,
            duration_s=stream.duration_s,
            num_frames=stream.num_frames,
        )
        self._receiver.open(opened)
        self._gate = MotionGate(self._settings.motion, self._zones.mask(*small_size(height, width)))
        self._freeze = FreezeDetector(self._settings.frozen_s if self._is_camera else 0.0)

    def _silence_s(self) -> float:
        settings, comes_slowly = self._settings, self._stream.in_bursts or self._stream.poll_s is not None
        return max(settings.open_timeout_s, settings.read_timeout_s, SEGMENT_TIMEOUT_S if comes_slowly else 0.0) + MARGIN_S

    def _tell_same(self, index: int, picture: Picture) -> None:
        """There is no new picture: the camera answers, or has stood still for long."""
        if not self._num_received:
            return
        is_frozen = 0 < self._settings.frozen_s <= picture.timestamp - self._newest
        self._receiver.put(self._due("frozen" if is_frozen else "same", index, picture, is_due=False), None)

    def _tell(self, index: int, picture: Picture, is_due: bool) -> None:
        absence = self._absence(picture) if is_due else picture.unseen
        write = None
        if absence is None or (absence == "still" and self._settings.all_pictures and not picture.unseen):
            write = self._write(picture)
        elif absence == "late":
            self._gate.reset()  # nobody knows this one: the next must be seen
        if not self._receiver.put(self._due(absence, index, picture, is_due), write):
            self._num_dropped += is_due
            if is_due:
                self._gate.reset()

    def _write(self, picture: Picture) -> Callable[[Array], None]:
        if self._zones.are_all and not self._settings.size_px:
            return picture.write

        def write(image: Array) -> None:
            whole = self._whole if self._settings.size_px else image
            picture.write(whole)
            self._zones.apply(whole)
            if self._settings.size_px:  # here, as the picture lies in this processor's cache
                cv2.resize(whole, image.shape[:2], dst=image, interpolation=INTERPOLATION[self._settings.resize])

        return write

    def _note_arrival(self, picture: Picture, was_waited_for: bool) -> None:
        """Learn when the picture came, and from that when stream time began; skip what lies there when there is too much of it."""
        if not self._is_camera:
            return
        came = self._lateness.step(picture.timestamp, picture.clock, picture.read, was_waited_for=was_waited_for)
        if self._policy == "latest":
            picture.captured = min(picture.captured, came)
            if self._stream.rest:
                self._stream.rest.skips = self._lateness.is_hopeless
        self._arrivals.step(picture.timestamp, picture.captured)

    def _is_due(self, picture: Picture) -> bool:
        ticks = [tick for sampler in self._samplers if (tick := sampler.pick(picture.timestamp, picture.segment))]
        if any(tick.gap_s for tick in ticks):
            self._gate.reset()  # whoever analyses the pictures has forgotten the last one
        return bool(ticks)

    def _absence(self, picture: Picture) -> Absence | None:
        """Why nobody is to see the picture."""
        if self._policy == "latest" and self._is_camera and time.monotonic() - picture.captured > self._settings.staleness_s:
            return "late"
        if picture.unseen:
            return picture.unseen
        is_looked_at = self._freeze.looks(picture.timestamp)
        if not (is_looked_at or self._settings.motion.gate):
            return None
        luma = picture.luma()
        small = shrink(luma)
        frozen = is_looked_at and self._freeze.step(fingerprint(luma, small), picture.timestamp)
        still = not self._gate.step(small, picture.timestamp)
        if frozen:
            self._gate.reset()  # the first picture behind it is let through
        if self._stream.rest and self._settings.motion.rest:
            self._stream.rest.wanted = self._gate.is_closed
        return "frozen" if frozen else "still" if still else None

    def _due(self, absence: Absence | None, index: int, picture: Picture, is_due: bool) -> Due:
        return Due(
            slot=None,
            absence=absence,
            is_due=is_due,
            index=index,
            timestamp=picture.timestamp,
            segment=picture.segment,
            clock=picture.clock,
            captured=picture.captured,
            decoded=time.monotonic(),
            began=self._arrivals.start if self._is_camera else None,
            received=self._num_received,
            corrupt=self._num_corrupt,
            dropped=self._num_dropped,
        )


def _comes_as_datagrams(source: str) -> bool:
    """Whether what is not read soon is lost."""
    scheme, _, _, query, _ = urlsplit(source)
    return scheme.lower() in ("udp", "srt") or query.startswith(("udp", "multicast"))
