"""Video files and network streams, read by PyAV (FFmpeg).

A recording that is damaged plays what there is of it, then ends with a warning that says where. A live stream that ends or falls silent is
lost, which is an error. FFmpeg's own log stays off: it prints URLs with their passwords, and its callback takes the interpreter's lock.
"""

import errno
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from itertools import chain, pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard, Disposition
from av.video.stream import VideoStream

from streamvc.capture.decoder import PictureDecoder
from streamvc.capture.http import BROKEN_OFF, FORBIDDEN, NOT_FOUND, REFUSED, SERVER_FAILED, UNAUTHORIZED, UNREACHABLE, Body, HttpClient
from streamvc.capture.stream import Decode, Picture, Stream, check_size
from streamvc.capture.timeline import JUMP_S
from streamvc.errors import AccessError, SourceError

SEGMENT_TIMEOUT_S = 30.0  # at least, for HLS and DASH: they send a segment every few seconds
STILLS = Disposition.attached_pic | Disposition.timed_thumbnails
AVFMT_NOTIMESTAMPS = 0x0080  # FFmpeg makes up the times of such formats (MJPEG, raw H.264)
UNINDEXED = ("mpeg", "mpegts")  # formats that do not know which pictures can be decoded by themselves
LONGEST_GOP_S = 10.0  # seconds from one such picture to the next, at most, in what is broadcast; cameras that save bytes know longer ones
SHORT_S = 1.0  # seconds by which a recording may end before its announced length without a warning
FRUGAL_CODECS = ("h264",)  # they mark the pictures that no other is made from, and their decoders leave these out on request

# Tags that are not UTF-8 keep no file from opening. PyAV 19 forgives them by itself.
FORGIVING: dict[str, Any] = {} if int(av.__version__.split(".")[0]) >= 19 else {"metadata_errors": "replace"}

Timeouts = tuple[float, float]  # seconds: to open, to read

# What FFmpeg may speak for an address of each kind; not what a server, a playlist or a damaged file may have it open besides.
PROTOCOLS = {
    "rtsp": "rtsp,tcp,udp,rtp,srtp",
    "rtsps": "rtsps,tls,tcp,udp,rtp,srtp",
    "rtmp": "rtmp,tcp",
    "rtmps": "rtmps,tls,tcp",
    "udp": "udp",
    "tcp": "tcp",
    "srt": "srt",
}
# Formats that hold no video, but name what does; and what is made up.
NAMING = {"hls", "dash", "concat", "imf", "sdp", "rtsp", "webm_dash_manifest", "vobsub", "lavfi", "avisynth", "vapoursynth"}
FORMATS = ",".join(sorted(av.formats_available - NAMING))
FILE_OPTIONS = {"protocol_whitelist": "file", "format_whitelist": FORMATS}
WEB_OPTIONS = {"protocol_whitelist": "", "format_whitelist": f"hls,{FORMATS}", "http_persistent": "0"}  # it opens nothing itself: `HttpClient` does
NAMING_HEADS = (b"#EXTM3U", b"ffconcat", b"v=0", b"<")

# The last: FFmpeg would hold back some 20 frames to estimate a rate that nothing here depends on.
RTSP_OPTIONS = {"rtsp_transport": "tcp", "allowed_media_types": "video", "fpsprobesize": "0"}

REASONS: dict[type[Exception], str] = {
    av.error.HTTPUnauthorizedError: UNAUTHORIZED,
    av.error.HTTPForbiddenError: FORBIDDEN,
    av.error.HTTPNotFoundError: NOT_FOUND,
    av.error.HTTPServerError: SERVER_FAILED,
    av.error.HTTPClientError: REFUSED,
    av.error.ProtocolNotFoundError: "this kind of address is not supported by the installed PyAV",
    av.error.InvalidDataError: "it cannot be read as a video: it is damaged, cut short, or none at all",
    MemoryError: "it needs more memory than there is for it; does a picture in it have no end?",
    EOFError: "it cannot be read as a video: it is damaged, cut short, or none at all",
    av.error.ExitError: "no answer, timed out",
    TimeoutError: "no answer, timed out",
    PermissionError: "it may not be read, permission denied",
    ConnectionError: BROKEN_OFF,
    OSError: UNREACHABLE,
}

_log = logging.getLogger(__name__)


@contextmanager
def open_file(path: str, decode: Decode = "all") -> Iterator[Stream]:
    """Open a video file.

    Raises:
        SourceError: It is no video that can be read.
    """
    with _open(f"file:{path}", path, FILE_OPTIONS) as container:
        yield _recording(container, path, decode)


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
        self._video = _find_video(container, name)
        self._decoder = _decoder(container, self._video, name)
        self._ticks: dict[float, int] = {}  # of each picture by its stream time, once that is known
        self.codec = self._video.codec_context.name
        self.fps = self._decoder.fps
        self.length_s = _length_s(container, self._video, self.fps)

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
        if self.codec not in FRUGAL_CODECS or self._container.format.name in (*UNINDEXED, "avi") or not _has_times(self._container):
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
            raise SourceError(f"{self._name}: it breaks off at {self._decoder.timestamp:.1f} s, {_why(error)}") from _without_url(error)

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
        if not _has_times(self._container):
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
    with _open(f"file:{path}", path, FILE_OPTIONS) as container:
        yield Recording(container, path)


def creation_time(path: str) -> float:
    """When a video file says that it was begun, in Unix seconds.

    Raises:
        SourceError: It cannot be read, or does not say that.
    """
    with _open(f"file:{path}", path, FILE_OPTIONS) as container:
        told = container.metadata.get("creation_time", "")
    try:
        moment = datetime.fromisoformat(told)
    except ValueError as error:
        raise SourceError(f"{path}: it does not say when it was begun; give that as a time, such as 2026-11-30T18:00:00") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


@contextmanager
def open_url(url: str, name: str, timeouts: Timeouts, decode: Decode = "all") -> Iterator[Stream]:
    """Open a network stream that is no HTTP; `name` is what to call it in messages. RTSP goes over TCP, or over UDP where the URL ends in `?udp`.

    Raises:
        AccessError: It refuses the login.
        SourceError: It cannot be reached, refuses otherwise, or is no video.
    """
    scheme = urlsplit(url).scheme  # in small letters
    options = {"protocol_whitelist": PROTOCOLS[scheme], **(RTSP_OPTIONS if scheme in ("rtsp", "rtsps") else {"format_whitelist": FORMATS})}
    with _open(url, name, options, timeouts) as container:
        yield _live(container, name, timeouts, decode)


@contextmanager
def open_body(client: HttpClient, body: Body, timeouts: Timeouts, decode: Decode = "all") -> Iterator[Stream]:
    """Open the video that an answer holds, or names; what else it takes, FFmpeg asks the client for.

    A video file on a web server is a recording: it waits for its reader. All else is live.

    Raises:
        SourceError: It is no video, or leads to where it may not.
    """
    open_s, read_s = timeouts
    read_s = max(read_s, SEGMENT_TIMEOUT_S) if body.is_playlist else read_s
    client.hand_over(body)
    with ExitStack() as opened:
        try:
            form = "hls" if body.is_playlist else None
            container = opened.enter_context(_open(body.url, client.name, WEB_OPTIONS, (open_s, read_s), client.open, form))
        except SourceError as error:
            raise (client.problem or error) from error
        client.is_open, client.timeout_s = True, timeouts[1]
        is_recording = container.duration is not None or (not _in_bursts(container) and _has_times(container) and body.size is not None)
        stream = _recording(container, client.name, decode) if is_recording else _live(container, client.name, (open_s, read_s), decode)
        yield replace(stream, pictures=_read_in_time(client, stream.pictures, max(open_s, read_s)))


def _read_in_time(client: HttpClient, pictures: Iterator[Picture | None], patience_s: float) -> Iterator[Picture | None]:
    """The same pictures, for each of which its bytes have so long to come."""
    client.within(patience_s)
    for picture in pictures:
        yield picture
        client.within(patience_s)
    if client.problem:
        raise client.problem


@contextmanager
def _open(
    url: str,
    name: str,
    options: dict[str, str],
    timeouts: Timeouts | None = None,
    io_open: Callable[..., Body] | None = None,
    form: str | None = None,
) -> Iterator[InputContainer]:
    begun = time.monotonic()
    try:
        container = av.open(url, options=options, timeout=timeouts, io_open=io_open, format=form, **FORGIVING)
    except av.FFmpegError as error:
        if error.errno == errno.EINVAL and options is FILE_OPTIONS and _names_others(name):
            raise SourceError(f"{name}: it names other files, and is no video itself; give one of these") from _without_url(error)
        # Not by the error's class: what a time-out turns into depends on the protocol.
        timed_out = timeouts is not None and time.monotonic() - begun >= timeouts[0]
        why = f"no answer within {timeouts[0]:g} s" if timeouts and timed_out else _why(error)
        refused = isinstance(error, (av.error.HTTPUnauthorizedError, av.error.HTTPForbiddenError))
        raise (AccessError if refused else SourceError)(f"{name}: {why}") from _without_url(error)
    try:
        yield container
    finally:
        container.close()


def _names_others(path: str) -> bool:
    with Path(path).open("rb") as file:
        return file.read(16).lstrip().startswith(NAMING_HEADS)


def _find_video(container: InputContainer, name: str) -> VideoStream:
    """The video that a player would show; all else in the container is not read. Never a cover or a thumbnail."""
    videos = [stream for stream in container.streams.video if not stream.disposition & STILLS]
    if not videos:
        raise SourceError(f"{name}: there is no video in it{', only sound' if container.streams.audio else ''}")
    video = max(videos, key=_preference)  # of equals, the first
    if video.codec_context is None:
        raise SourceError(f"{name}: its video codec is not supported; convert it, to H.264 for instance")
    if video.codec_context.width and video.codec_context.height:  # some know it with the first picture only
        check_size(name, video.codec_context.width, video.codec_context.height)
    for stream in container.streams:
        if stream is not video:
            stream.discard = Discard.all
    return video


def _preference(video: VideoStream) -> tuple[bool, bool, bool, int]:
    """A sorting key: can it be decoded, is it more than one picture, does the file call it its default, and how large is it."""
    codec = video.codec_context
    return codec is not None, video.frames != 1, bool(video.disposition & Disposition.default), codec.width * codec.height if codec else 0


def _recording(container: InputContainer, name: str, decode: Decode) -> Stream:
    video = _find_video(container, name)
    decoder = _decoder(container, video, name, decode)
    length_s = _length_s(container, video, decoder.fps)
    num_shown = round(length_s * decoder.fps) if length_s and decoder.fps else None
    num_frames = video.frames if video.frames and (num_shown is None or video.frames - num_shown <= 1) else num_shown
    pictures = _play(container, video, decoder, name, length_s)
    codec = video.codec_context.name
    return Stream(pictures, is_live=False, fps=decoder.fps, duration_s=length_s, num_frames=num_frames, codec=codec, rest=decoder.rest)


def _decoder(container: InputContainer, video: VideoStream, name: str, decode: Decode = "all") -> PictureDecoder:
    return PictureDecoder(video, "dts" if container.format.name == "avi" else "pts", name, decode)


def _length_s(container: InputContainer, video: VideoStream, fps: float | None) -> float | None:
    """The announced length. A cut AVI announces all its frames, yet a duration that fits its size; sound may be longer than the video.

    An MP4 that was cut without encoding it anew counts frames before its start, which are never shown; its duration is right.
    """
    if video.frames and fps and container.format.name == "avi":
        return video.frames / fps
    if video.duration and video.time_base:
        return float(video.duration * video.time_base)
    if video.frames and fps:
        return video.frames / fps
    return container.duration / av.time_base if container.duration and len(container.streams) == 1 else None


def _play(container: InputContainer, video: VideoStream, decoder: PictureDecoder, name: str, length_s: float | None) -> Iterator[Picture | None]:
    """The pictures of a recording, as far as it can be read."""
    damaged = False
    try:
        for packet in container.demux(video):
            yield from decoder.step(packet)
    except (av.error.InvalidDataError, av.error.MemoryError):  # the latter: a damaged length
        damaged = True
    except av.FFmpegError as error:
        raise SourceError(f"{name}: lost at {decoder.timestamp:.1f} s, {_why(error)}") from _without_url(error)
    last_s = 1 / decoder.fps if decoder.fps else 0.0  # for which the last picture is shown
    if damaged or (length_s or 0.0) - last_s - decoder.timestamp > SHORT_S:
        announced = f" of {length_s:.1f} s" if length_s else ""
        _log.warning("%s: it breaks off at %.1f s%s; is the file damaged, or was its copying cut short?", name, decoder.timestamp, announced)


def _in_bursts(container: InputContainer) -> bool:
    return container.format.name in ("hls", "dash")


def _has_times(container: InputContainer) -> bool:
    return not container.format.flags & AVFMT_NOTIMESTAMPS


def _live(container: InputContainer, name: str, timeouts: Timeouts, decode: Decode) -> Stream:
    video = _find_video(container, name)
    decoder = PictureDecoder(video, "pts" if _has_times(container) else "arrival", name, decode, is_live=True)
    pictures = _receive(container, video, decoder, name, timeouts)
    return Stream(pictures, is_live=True, fps=decoder.fps, codec=video.codec_context.name, in_bursts=_in_bursts(container), rest=decoder.rest)


def _receive(container: InputContainer, video: VideoStream, decoder: PictureDecoder, name: str, timeouts: Timeouts) -> Iterator[Picture | None]:
    """The pictures of a live stream, until it is lost."""
    why, timed_out = "the other side ended the stream", False
    asked = seen = time.monotonic()
    try:
        for packet in container.demux(video):
            for picture in decoder.step(packet):
                yield picture
                seen = time.monotonic() if picture else seen
            asked = time.monotonic()
            if asked - seen > max(timeouts):
                raise SourceError(f"{name}: lost, data comes, but for {max(timeouts):g} s no picture in it could be decoded")
        if container.duration is not None and decoder.timestamp > container.duration / av.time_base - SHORT_S:
            return  # a recording that an RTSP server plays
    except av.FFmpegError as error:
        why, timed_out = _why(error), isinstance(error, (av.error.ExitError, TimeoutError))
    # What the time-out turns into depends on the protocol; a last packet that was held back may come before it.
    if timed_out or time.monotonic() - asked >= timeouts[1]:
        why = f"nothing came for {timeouts[1]:g} s"
    raise SourceError(f"{name}: lost, {why}")


def _why(error: av.FFmpegError) -> str:
    """What went wrong, in a user's words."""
    return next((text for kind, text in REASONS.items() if isinstance(error, kind)), str(error.strerror).lower())


def _without_url(error: av.FFmpegError) -> av.FFmpegError:
    """The error without the URL that it quotes: a traceback would show the password in it."""
    error.args = error.args[:2]
    return error
