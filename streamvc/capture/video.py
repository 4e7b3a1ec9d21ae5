"""Video files and network streams, read by PyAV (FFmpeg).

A recording that is damaged plays what there is of it, then ends with a warning that says where. A live stream that ends or falls silent is
lost, which is an error.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from urllib.parse import urlsplit

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from streamvc.capture.container import (
    FILE_OPTIONS,
    FORMATS,
    SHORT_S,
    Timeouts,
    announced_length_s,
    find_video,
    has_times,
    in_words,
    make_decoder,
    open_container,
    without_url,
)
from streamvc.capture.decoder import PictureDecoder
from streamvc.capture.http import Body, HttpClient
from streamvc.capture.stream import Decode, Picture, Stream
from streamvc.errors import SourceError

SEGMENT_TIMEOUT_S = 30.0  # at least, for HLS and DASH: they send a segment every few seconds
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
WEB_OPTIONS = {"protocol_whitelist": "", "format_whitelist": f"hls,{FORMATS}", "http_persistent": "0"}  # it opens nothing itself: `HttpClient` does
# The last: FFmpeg would hold back some 20 frames to estimate a rate that nothing here depends on.
RTSP_OPTIONS = {"rtsp_transport": "tcp", "allowed_media_types": "video", "fpsprobesize": "0"}
_log = logging.getLogger(__name__)


@contextmanager
def open_file(path: str, decode: Decode = "all") -> Iterator[Stream]:
    """Open a video file.

    Raises:
        SourceError: It is no video that can be read.
    """
    with open_container(f"file:{path}", path, FILE_OPTIONS) as container:
        yield _recording(container, path, decode)


@contextmanager
def open_url(url: str, name: str, timeouts: Timeouts, decode: Decode = "all") -> Iterator[Stream]:
    """Open a network stream that is no HTTP; `name` is what to call it in messages. RTSP goes over TCP, or over UDP where the URL ends in `?udp`.

    Raises:
        AccessError: It refuses the login.
        SourceError: It cannot be reached, refuses otherwise, or is no video.
    """
    scheme = urlsplit(url).scheme  # in small letters
    options = {"protocol_whitelist": PROTOCOLS[scheme], **(RTSP_OPTIONS if scheme in ("rtsp", "rtsps") else {"format_whitelist": FORMATS})}
    with open_container(url, name, options, timeouts) as container:
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
            container = opened.enter_context(open_container(body.url, client.name, WEB_OPTIONS, (open_s, read_s), client.open, form))
        except SourceError as error:
            raise (client.problem or error) from error
        client.is_open, client.timeout_s = True, timeouts[1]
        is_recording = container.duration is not None or (not _in_bursts(container) and has_times(container) and body.size is not None)
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


def _recording(container: InputContainer, name: str, decode: Decode) -> Stream:
    video = find_video(container, name)
    decoder = make_decoder(container, video, name, decode)
    length_s = announced_length_s(container, video, decoder.fps)
    num_shown = round(length_s * decoder.fps) if length_s and decoder.fps else None
    num_frames = video.frames if video.frames and (num_shown is None or video.frames - num_shown <= 1) else num_shown
    pictures = _play(container, video, decoder, name, length_s)
    codec = video.codec_context.name
    return Stream(pictures, is_live=False, fps=decoder.fps, duration_s=length_s, num_frames=num_frames, codec=codec, rest=decoder.rest)


def _play(container: InputContainer, video: VideoStream, decoder: PictureDecoder, name: str, length_s: float | None) -> Iterator[Picture | None]:
    """The pictures of a recording, as far as it can be read."""
    damaged = False
    try:
        for packet in container.demux(video):
            yield from decoder.step(packet)
    except (av.error.InvalidDataError, av.error.MemoryError):  # the latter: a damaged length
        damaged = True
    except av.FFmpegError as error:
        raise SourceError(f"{name}: lost at {decoder.timestamp:.1f} s, {in_words(error)}") from without_url(error)
    last_s = 1 / decoder.fps if decoder.fps else 0.0  # for which the last picture is shown
    if damaged or (length_s or 0.0) - last_s - decoder.timestamp > SHORT_S:
        announced = f" of {length_s:.1f} s" if length_s else ""
        _log.warning("%s: it breaks off at %.1f s%s; is the file damaged, or was its copying cut short?", name, decoder.timestamp, announced)


def _in_bursts(container: InputContainer) -> bool:
    return container.format.name in ("hls", "dash")


def _live(container: InputContainer, name: str, timeouts: Timeouts, decode: Decode) -> Stream:
    video = find_video(container, name)
    decoder = PictureDecoder(video, "pts" if has_times(container) else "arrival", name, decode, is_live=True)
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
        why, timed_out = in_words(error), isinstance(error, (av.error.ExitError, TimeoutError))
    # What the time-out turns into depends on the protocol; a last packet that was held back may come before it.
    if timed_out or time.monotonic() - asked >= timeouts[1]:
        why = f"nothing came for {timeouts[1]:g} s"
    raise SourceError(f"{name}: lost, {why}")
