"""Opens what PyAV (FFmpeg) reads, finds the video in it, and puts into words why it cannot.

FFmpeg's own log stays off: it prints URLs with their passwords, and its callback takes the interpreter's lock.
"""

import errno
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.stream import Discard, Disposition
from av.video.stream import VideoStream

from streamvc.capture.decoder import PictureDecoder
from streamvc.capture.http import BROKEN_OFF, FORBIDDEN, NOT_FOUND, REFUSED, SERVER_FAILED, UNAUTHORIZED, UNREACHABLE, Body
from streamvc.capture.stream import Decode, check_size
from streamvc.errors import AccessError, SourceError

STILLS = Disposition.attached_pic | Disposition.timed_thumbnails
AVFMT_NOTIMESTAMPS = 0x0080  # FFmpeg makes up the times of such formats (MJPEG, raw H.264)
SHORT_S = 1.0  # seconds by which a recording may end before its announced length without a warning

# Tags that are not UTF-8 keep no file from opening. PyAV 19 forgives them by itself.
FORGIVING: dict[str, Any] = {} if int(av.__version__.split(".")[0]) >= 19 else {"metadata_errors": "replace"}

Timeouts = tuple[float, float]  # seconds: to open, to read

# Formats that hold no video, but name what does; and what is made up.
NAMING = {"hls", "dash", "concat", "imf", "sdp", "rtsp", "webm_dash_manifest", "vobsub", "lavfi", "avisynth", "vapoursynth"}
FORMATS = ",".join(sorted(av.formats_available - NAMING))
FILE_OPTIONS = {"protocol_whitelist": "file", "format_whitelist": FORMATS}
NAMING_HEADS = (b"#EXTM3U", b"ffconcat", b"v=0", b"<")

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


@contextmanager
def open_container(
    url: str,
    name: str,
    options: dict[str, str],
    timeouts: Timeouts | None = None,
    io_open: Callable[..., Body] | None = None,
    form: str | None = None,
) -> Iterator[InputContainer]:
    """Open what is at a URL; `name` is what to call it in messages, `io_open` opens what it names in turn, `form` is FFmpeg's name of its format.

    Raises:
        AccessError: It refuses the login.
        SourceError: It cannot be reached, refuses otherwise, or cannot be read.
    """
    begun = time.monotonic()
    try:
        container = av.open(url, options=options, timeout=timeouts, io_open=io_open, format=form, **FORGIVING)
    except av.FFmpegError as error:
        if error.errno == errno.EINVAL and options is FILE_OPTIONS and _names_others(name):
            raise SourceError(f"{name}: it names other files, and is no video itself; give one of these") from without_url(error)
        # Not by the error's class: what a time-out turns into depends on the protocol.
        timed_out = timeouts is not None and time.monotonic() - begun >= timeouts[0]
        why = f"no answer within {timeouts[0]:g} s" if timeouts and timed_out else in_words(error)
        refused = isinstance(error, (av.error.HTTPUnauthorizedError, av.error.HTTPForbiddenError))
        raise (AccessError if refused else SourceError)(f"{name}: {why}") from without_url(error)
    try:
        yield container
    finally:
        container.close()


def _names_others(path: str) -> bool:
    with Path(path).open("rb") as file:
        return file.read(16).lstrip().startswith(NAMING_HEADS)


def find_video(container: InputContainer, name: str) -> VideoStream:
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


def make_decoder(container: InputContainer, video: VideoStream, name: str, decode: Decode = "all") -> PictureDecoder:
    """What decodes the video of a container."""
    return PictureDecoder(video, "dts" if container.format.name == "avi" else "pts", name, decode)


def announced_length_s(container: InputContainer, video: VideoStream, fps: float | None) -> float | None:
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


def has_times(container: InputContainer) -> bool:
    """Whether its format says when pictures are to be shown."""
    return not container.format.flags & AVFMT_NOTIMESTAMPS


def in_words(error: av.FFmpegError) -> str:
    """What went wrong, in a user's words."""
    return next((text for kind, text in REASONS.items() if isinstance(error, kind)), str(error.strerror).lower())


def without_url(error: av.FFmpegError) -> av.FFmpegError:
    """The error without the URL that it quotes: a traceback would show the password in it."""
    error.args = error.args[:2]
    return error
