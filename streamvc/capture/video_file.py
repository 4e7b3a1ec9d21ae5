"""A video file in which one can jump, and what it says of itself."""

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from fractions import Fraction
from itertools import chain, pairwise

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from streamvc.capture.container import (
    FILE_OPTIONS,
    SHORT_S,
    announced_length_s,
    find_video,
    has_times,
    in_words,
    make_decoder,
    open_container,
    without_url,
)
from streamvc.capture.stream import Picture
from streamvc.capture.timeline import JUMP_S
from streamvc.errors import SourceError

UNINDEXED = ("mpeg", "mpegts")  # formats that do not know which pictures can be decoded by themselves
LONGEST_GOP_S = 10.0  # seconds from one such picture to the next, at most, in what is broadcast; cameras that save bytes know longer ones
FRUGAL_CODECS = ("h264",)  # they mark the pictures that no other is made from, and their decoders leave these out on request


class Recording:
    """A video file in which one can jump.

    Attributes:
        codec: Short name of its codec, such as `h264`.
        fps: Pictures/s as announced; None where nothing is announced.
        length_s: Length in seconds, as announced; None where it is not.
    """

    def __init__(self, container: InputContainer, name: str) -> None:
        self._container = container
        self._name = name
        self._video = find_video(container, name)
        self._decoder = make_decoder(container, self._video, name)
        self._ticks: dict[float, int] = {}  # of each picture by its stream time, once that is known
        self.codec = self._video.codec_context.name
        self.fps = self._decoder.fps
        self.length_s = announced_length_s(container, self._video, self.fps)

    def pictures(self, since_s: float | None = None) -> Iterator[Picture | None]:
        """The pictures from a moment on, in seconds of stream time, or those that were not read yet. None stands for one that is damaged.

        Raises:
            SourceError: It cannot be read further.
        """
        if since_s is None:
            return self._read()
        next(filter(None, self._read()), None)  # time counts from the first picture
        return (picture for picture in self._from(since_s) if picture is None or picture.timestamp >= since_s)

    def timestamps(self) -> list[float]:
        """The stream time of each picture in seconds, in order, without decoding any. Empty where that cannot be known, or would save nothing.

        Raises:
            SourceError: It cannot be read further.
        """
        if self.codec not in FRUGAL_CODECS or self._container.format.name in (*UNINDEXED, "avi") or not has_times(self._container):
            return []
        packets = [None if packet.is_discard or packet.is_corrupt else packet.pts for packet in self._packets() if packet.size]
        ticks = sorted({tick for tick in packets if tick is not None})
        if not ticks or len(ticks) < len(packets):
            return []
        tick_s = self._video.time_base or Fraction(1)
        times = [tick * tick_s.numerator / tick_s.denominator for tick in ticks]
        if any(later - earlier > JUMP_S for earlier, later in pairwise(times)):
            return []  # one of them may be wrong
        self._ticks = {time_s - times[0]: tick for time_s, tick in zip(times, ticks, strict=True)}
        is_short = (self.length_s or 0.0) - (1 / self.fps if self.fps else 0.0) - (times[-1] - times[0]) > SHORT_S
        return [] if is_short else list(self._ticks)

    def pick(self, timestamps: Sequence[float]) -> Iterator[Picture]:
        """Some of the pictures that there are by `timestamps()`, in order. Of the others, those that none is made from are not decoded.

        Raises:
            SourceError: A picture is damaged or not there, or the file cannot be read further.
        """
        needed = {self._ticks[timestamp] for timestamp in timestamps} | {next(iter(self._ticks.values()))}  # time counts from the first
        awaited = deque(timestamps)
        self._jump(0.0)
        for packet in self._packets():
            if not awaited:
                return
            pictures = self._decoder.step(packet) if packet.pts is None or packet.pts in needed else self._pass_over(packet)
            for picture in pictures:
                if picture is None:
                    raise SourceError(f"{self._name}: it is damaged at {self._decoder.timestamp:.1f} s")
                if awaited and picture.timestamp == awaited[0]:
                    awaited.popleft()
                    yield picture
        if awaited:
            raise SourceError(f"{self._name}: there is no picture at {awaited[0]:.1f} s")

    def _pass_over(self, packet: "Packet[VideoStream]") -> list[Picture | None]:
        """Decode a packet only as far as other pictures are made from it."""
        self._video.codec_context.skip_frame = "NONREF"
        pictures = self._decoder.step(packet)
        self._video.codec_context.skip_frame = "DEFAULT"
        return pictures

    def _packets(self) -> "Iterator[Packet[VideoStream]]":
        try:
            yield from self._container.demux(self._video)
        except av.FFmpegError as error:
            raise SourceError(f"{self._name}: it breaks off at {self._decoder.timestamp:.1f} s, {in_words(error)}") from without_url(error)

    def _read(self) -> Iterator[Picture | None]:
        for packet in self._packets():
            yield from self._decoder.step(packet)

    def _from(self, since_s: float) -> Iterator[Picture | None]:
        """The pictures from one on that can be decoded by itself and is not later than a moment, as far as there is one."""
        back_s = LONGEST_GOP_S if self._container.format.name in UNINDEXED else 0.0
        while True:
            self._jump(since_s - back_s)
            first = next(filter(None, self._read()), None)
            if not back_s or since_s <= back_s or (first and first.timestamp <= since_s):
                return chain([first], self._read()) if first else self._read()
            back_s *= 2

    def _jump(self, to_s: float) -> None:
        """Go to the last picture before a moment that can be decoded by itself; stay where the file knows no times."""
        if not has_times(self._container):
            return
        ticks = (self._video.start_time or 0) + round(to_s / (self._video.time_base or 1))
        with suppress(av.FFmpegError):
            self._container.seek(ticks, stream=self._video)
            self._decoder.jump()


@contextmanager
def open_recording(path: str) -> Iterator[Recording]:
    """Open a video file to look at parts of it.

    Raises:
        SourceError: It is no video that can be read.
    """
    with open_container(f"file:{path}", path, FILE_OPTIONS) as container:
        yield Recording(container, path)


def creation_time(path: str) -> float:
    """When a video file says that it was begun, in Unix seconds.

    Raises:
        SourceError: It cannot be read, or does not say that.
    """
    with open_container(f"file:{path}", path, FILE_OPTIONS) as container:
        told = container.metadata.get("creation_time", "")
    try:
        moment = datetime.fromisoformat(told)
    except ValueError as error:
        raise SourceError(f"{path}: it does not say when it was begun; give that as a time, such as 2026-11-30T18:00:00") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
