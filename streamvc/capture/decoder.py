"""From the packets of a video stream to pictures with their time."""

import logging
import time
from collections import deque
from collections.abc import Callable
from fractions import Fraction
from typing import Literal, NoReturn

import av
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from streamvc.capture.display import Converter, Orientation, orientation_of
from streamvc.capture.rest import Rest, Unseen
from streamvc.capture.stream import Decode, Picture
from streamvc.capture.timeline import Moment, Timeline
from streamvc.types import Clock

logger = logging.getLogger(__name__)

Times = Literal["pts", "dts", "arrival"]

FALLBACK_FPS = 25.0  # spaces pictures that come without a time, where the stream does not say its rate
MAX_FPS = 1000.0  # more than that is no frame rate but the tick of the stream's clock

SKIPPED: dict[Decode, Literal["DEFAULT", "NONREF", "NONKEY"]] = {"all": "DEFAULT", "reference": "NONREF", "keyframes": "NONKEY"}

TIMELESS = {True: "the moments at which they come are taken", False: "they are taken to come at the announced rate"}  # by whether it is live


class PictureDecoder:
    """Decodes a stream in the calling thread alone.

    More threads would decode large pictures sooner, but they take the cores that the interpreter of the model needs, and delay each picture by
    their number of frames.
    """

    def __init__(self, video: VideoStream, times: Times, name: str, decode: Decode = "all", *, is_live: bool = False) -> None:
        """Prepare `video`; `times` says where the time of its pictures is from, `name` what to call it in messages.

        AVI holds no presentation times (what FFmpeg gives as such is in the order of coding), so "dts" there.
        """
        video.codec_context.thread_count = 1
        video.codec_context.skip_frame = SKIPPED[decode]
        video.codec_context.copy_opaque = True
        self.fps = _announced_fps(video)
        self.timestamp = 0.0  # of the last picture, in seconds
        self.rest = Rest(video)
        if times != "pts":
            self.rest.never()
        self._shape = (0, 0, 3)
        self._orientation: Orientation | None = None  # as it was last told; None before the first picture
        # What the container says of its pixels counts, and without that, what the stream does with each keyframe.
        self._aspect = video.sample_aspect_ratio
        self._is_told = self._aspect != video.codec_context.sample_aspect_ratio
        self._read = 0.0  # time.monotonic() when the last packet was
        self._video = video
        self._times = times
        self._name = name
        self._tick_s = video.time_base or Fraction(0)
        self._timeline = Timeline(1 / (self.fps or FALLBACK_FPS), is_live=is_live, tick_s=float(self._tick_s))
        self._untimed: deque[Callable[[Moment], Picture]] = deque()  # pictures whose time is known with the next
        self._is_warned = False
        self._converter = Converter(name)

    def step(self, packet: "Packet[VideoStream]") -> list[Picture | None]:
        """Decode a packet; gives no, one or several pictures, and None for one that is damaged. At rest, or in haste, one that is not decoded."""
        self._read = time.monotonic()
        if packet.size and (unseen := self.rest.leaves(packet)):  # an empty one ends the stream
            return [] if packet.is_discard else self._unseen(packet, unseen)
        told, kept = self.timestamp, self.rest.take()
        if packet.is_keyframe or not kept:
            pictures = [*self._decode(packet), *self._last_picture(packet)]
            if kept and not any(pictures):  # it was made from what was not decoded
                self.rest.never()
            return pictures
        for each in kept:
            self._decode(each)
        return [picture for picture in self._decode(packet) if picture is None or picture.timestamp > told]

    def _decode(self, packet: "Packet[VideoStream]") -> list[Picture | None]:
        packet.opaque = time.monotonic()  # comes out again with the picture it belongs to, which may be several packets later
        try:
            frames = packet.decode()
        except av.FFmpegError:
            return [None]
        pictures: list[Picture | None] = []
        for frame in frames:
            pictures += [None] if frame.is_corrupt else self._pictures(frame)
        return pictures

    def _last_picture(self, packet: "Packet[VideoStream]") -> list[Picture]:
        """The picture that waits for the next to tell its time, where the stream is over."""
        return [] if packet.size else self._timed(self._timeline.flush())

    def jump(self) -> None:
        """The next packet may lie anywhere in the stream."""
        self._timeline.jump()

    def _pictures(self, frame: VideoFrame) -> list[Picture]:
        opaque = frame.opaque
        arrived = opaque if isinstance(opaque, float) else time.monotonic()
        if frame.key_frame or self._orientation is None:
            self._orientation = orientation_of(frame)
            self._aspect = self._aspect if self._is_told else self._video.codec_context.sample_aspect_ratio
        shown, read = self._converter.show(frame, self._aspect, self._orientation), self._read
        self._shape = shown.shape

        def picture(moment: Moment) -> Picture:
            return Picture(moment.timestamp, self._clock(moment), arrived, read, shown.shape, shown.write, shown.luma, segment=moment.segment)

        self._untimed.append(picture)
        return self._timed(self._timeline.step(self._time_of(frame, arrived), arrived))

    def _unseen(self, packet: "Packet[VideoStream]", why: Unseen) -> list[Picture | None]:
        is_in_order = self._times == "pts" and not self._video.codec_context.has_b_frames
        seconds = self._read if self._times == "arrival" else self._seconds(packet.pts if is_in_order else packet.dts)
        read, shape = self._read, self._shape

        def picture(moment: Moment) -> Picture:
            return Picture(moment.timestamp, self._clock(moment), read, read, shape, refuse, refuse, why, moment.segment)

        if why == "still":  # it may be decoded yet
            self.timestamp = self._timeline.look(seconds)
            return [picture(Moment(self.timestamp, self._timeline.segment, "pts"))]
        self._untimed.append(picture)
        return [*self._timed(self._timeline.step(seconds, read))]

    def _timed(self, moments: list[Moment]) -> list[Picture]:
        """The pictures whose moments are known now."""
        if self._timeline.is_timeless and not self._is_warned:
            self._is_warned = True
            logger.warning("%s: its pictures have no times, or always the same; %s", self._name, TIMELESS[self._timeline.is_live])
        if moments:
            self.timestamp = moments[-1].timestamp
        return [self._untimed.popleft()(moment) for moment in moments]

    def _clock(self, moment: Moment) -> Clock:
        return "arrival" if self._times == "arrival" else moment.clock

    def _time_of(self, frame: VideoFrame, arrived: float) -> float | None:
        match self._times:
            case "pts":
                return frame.time
            case "dts":  # of the packet that completed the picture: later than its own by as much for all, until the last few, which have none
                return self._seconds(frame.dts)
            case "arrival":
                return arrived

    def _seconds(self, ticks: int | None) -> float | None:
        """To the last digit what PyAV makes of a picture's time."""
        return None if ticks is None else ticks * self._tick_s.numerator / self._tick_s.denominator


def refuse(*_: object) -> NoReturn:
    """Take the place of what a picture that was not decoded cannot do."""
    raise ValueError("this picture was not decoded")


def _announced_fps(video: VideoStream) -> float | None:
    rate = video.average_rate or video.guessed_rate
    return float(rate) if rate and 0 < rate <= MAX_FPS else None
