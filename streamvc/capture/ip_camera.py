"""Cameras that send JPEG pictures over HTTP or TCP, one behind the other, and those whose still image is asked for again and again.

What comes says which it is, not the address alone. FFmpeg reads all else; of an endless stream, over the connection that there is already.
"""

import math
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from typing import Literal
from urllib.parse import urlsplit

import av
import cv2
import numpy as np
from av.video.codeccontext import VideoCodecContext

from streamvc.capture.decoder import refuse
from streamvc.capture.display import Converter, Shown, orientation_of
from streamvc.capture.http import BROKEN_OFF, UNREACHABLE, Answer, Connection, HttpClient, MovedError
from streamvc.capture.jpegs import MAX_BYTES, START, JpegSplitter
from streamvc.capture.stream import Decode, Picture, Stream
from streamvc.capture.video import Timeouts, open_bytes, open_url
from streamvc.errors import AccessError, SourceError
from streamvc.types import Array

DEFAULT_FPS = 5.0  # at which a still image is asked for
MAX_PIXELS = 1 << 27  # of a JPEG picture
LOOK_BYTES = 1 << 16  # that are looked at, at most, to tell what a stream is made of
CODED = re.compile(rb"\xff(.)", re.DOTALL)
LEAST_CODED, SHARE_CODED = 16, 0.9
TRUST_S = 2.0  # after which the word that nothing is new is held against the image itself
NO_IMAGE = "it cannot be read as an image: it is damaged, cut short, or none at all"
PLAYLISTS = (".m3u8", ".mpd")
IMAGES = (b"\x89PNG", b"BM", b"II*\0", b"MM\0*")  # as they begin
TEXT = (b"<", b"#", b"{")  # as playlists and web pages begin
TS_PACKET_BYTES, TS_SYNC = 188, 0x47
VIDEO = (b"FLV", b"\x1aE\xdf\xa3", b"RIFF", b"OggS", b"\0\0\1", b"\0\0\0")  # FLV, Matroska, AVI, Ogg, H.264 and MPEG as they are, MP4

Kind = Literal["pictures", "still", "unknown", "video"]


Body = Connection | Answer  # bytes that come


@contextmanager
def open_ip_camera(url: str, name: str, timeouts: Timeouts, decode: Decode = "all", fps: float | None = None) -> Iterator[Stream]:
    """Open what an address of HTTP or TCP stands for; `name` is what to call it in messages.

    Args:
        url: With its login.
        name: What to call it in messages.
        timeouts: As for `open_url`.
        decode: Which pictures of a video are decoded at all.
        fps: How often in a second a still image is asked for; 5 if None.

    Raises:
        AccessError: It refuses the login.
        SourceError: It cannot be reached, refuses otherwise, or is neither picture nor video.
    """
    client = HttpClient(url, name, timeouts[0])
    body = _ask(client, url, name, timeouts[0])
    with ExitStack() as opened:
        kind: Kind = "video"
        if body:
            opened.callback(body.close)
            kind = _look(body, name, timeouts[0])
        if body and kind == "pictures":
            yield Stream(_received(body, name, timeouts), is_live=True, codec="mjpeg")
        elif isinstance(body, Answer) and kind == "still":
            data = _whole(body, name, timeouts[0])
            body.close()
            yield Stream(StillImage(client, body, timeouts[1]).pictures(data), is_live=True, poll_s=1 / (fps or DEFAULT_FPS))
        elif body and kind == "unknown":
            body.connection.patience_s = timeouts[1]
            yield opened.enter_context(open_bytes(body, name, timeouts, decode))
        else:
            opened.close()
            yield opened.enter_context(open_url(url, name, timeouts, decode))


def _ask(client: HttpClient, url: str, name: str, open_s: float) -> Body | None:
    """What comes of an address; None for a playlist, an address to listen at, and where it sends to another machine: FFmpeg asks for these."""
    parts = urlsplit(url)
    if parts.path.lower().endswith(PLAYLISTS) or parts.query.startswith("listen"):
        return None
    if parts.scheme.lower() == "tcp":
        return _connect(url, name, open_s)
    try:
        return client.ask()
    except MovedError:
        return None


def _connect(url: str, name: str, open_s: float) -> Connection:
    parts = urlsplit(url)
    try:
        return Connection(parts.hostname or "", parts.port or 0, open_s)
    except TimeoutError as error:
        raise SourceError(f"{name}: no answer within {open_s:g} s") from error
    except (OSError, ValueError) as error:
        raise SourceError(f"{name}: {BROKEN_OFF if isinstance(error, ConnectionError) else UNREACHABLE}") from error


def _look(body: Body, name: str, open_s: float) -> Kind:
    """What comes, by what is said of it, and where that says little, by how it begins."""
    told = body.headers.get("content-type", "").lower().partition(";")[0].strip() if isinstance(body, Answer) else ""
    has_end = isinstance(body, Answer) and body.length is not None
    if told.startswith("multipart/") or (told.startswith("video/") and "jpeg" in told):
        return "pictures"
    if told.startswith(("video/", "audio/")) or told == "image/gif":
        return "video" if has_end else "unknown"
    if told.startswith("image/") and "jp" not in told:
        return "still"
    try:
        head = _head(body)
        body.unread(head)
        if told.startswith("image/") or START.match(head):
            return _one_or_many(body)
    except OSError as error:
        raise _error(name, error, open_s) from error
    if has_end:
        return "still" if head.startswith(IMAGES) else "video"
    if head.lstrip().startswith(TEXT) or "mpegurl" in told or "dash" in told:
        return "video"
    is_video = head.startswith(VIDEO) or _is_transport_stream(head)
    return "pictures" if not is_video and (START.search(head) or _is_jpeg_data(head)) else "unknown"


def _head(body: Body) -> bytes:
    """As much of the beginning as it takes to tell what it is."""
    head = b""
    while len(head) < LOOK_BYTES and (piece := body.read()):
        head += piece
        if START.search(head) or head.startswith((*VIDEO, *IMAGES)) or head.lstrip().startswith(TEXT) or _is_transport_stream(head):
            break
    return head


def _is_transport_stream(head: bytes) -> bool:
    """Also where it begins amid a packet."""
    starts = range(min(TS_PACKET_BYTES, len(head) - 2 * TS_PACKET_BYTES))
    return any(head[start] == head[start + TS_PACKET_BYTES] == head[start + 2 * TS_PACKET_BYTES] == TS_SYNC for start in starts)


def _is_jpeg_data(head: bytes) -> bool:
    """Whether it lies within a JPEG picture: there, hardly anything but a 0 follows a byte of 255."""
    following = CODED.findall(head)
    return len(following) >= LEAST_CODED and sum(byte == b"\0" or b"\xd0" <= byte <= b"\xd7" for byte in following) > SHARE_CODED * len(following)


def _one_or_many(body: Body) -> Kind:
    """Whether an answer that begins with a JPEG picture ends with it, or goes on with others."""
    splitter, data = JpegSplitter(), b""
    num_found = 0
    is_over = False
    while not is_over and num_found + splitter.has_begun < 2 and len(data) <= MAX_BYTES:
        piece = body.read()
        data, is_over = data + piece, not piece
        num_found += len(list(splitter.step(piece)))
    body.unread(data)
    return "still" if is_over else "pictures"


def _whole(body: Body, name: str, open_s: float) -> bytes:
    """All of an image.

    Raises:
        SourceError: It does not come, or has no end.
    """
    data = b""
    try:
        while piece := body.read():
            data += piece
            if len(data) > MAX_BYTES:
                raise SourceError(f"{name}: its image has no end")
    except OSError as error:
        raise _error(name, error, open_s) from error
    return data


def _error(name: str, error: OSError, timeout_s: float) -> SourceError:
    return SourceError(f"{name}: {f'no answer within {timeout_s:g} s' if isinstance(error, TimeoutError) else BROKEN_OFF}")


class ImageDecoder:
    """Decodes images, each by itself."""

    def __init__(self, name: str) -> None:
        """Decode the images of a stream that messages call `name`."""
        self._converter = Converter(name)
        self._jpeg: VideoCodecContext = av.CodecContext.create("mjpeg", "r")
        self._jpeg.thread_count = 1
        self._jpeg.options = {"max_pixels": str(MAX_PIXELS)}

    def step(self, data: bytes) -> Shown | None:
        """The picture of an image; None where it is damaged."""
        return self._step_jpeg(data) if data.startswith(b"\xff\xd8") else _read_image(data)

    def _step_jpeg(self, data: bytes) -> Shown | None:
        try:
            frames = self._jpeg.decode(av.Packet(data))
        except av.FFmpegError:
            return None
        if not frames or frames[0].is_corrupt:
            return None
        return self._converter.show(frames[0], self._jpeg.sample_aspect_ratio, orientation_of(frames[0]))


def _read_image(data: bytes) -> Shown | None:
    try:
        image: Array | None = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        return None
    if image is None:
        return None
    height, width, _ = image.shape
    return Shown((height, width, 3), partial(np.copyto, src=image), partial(cv2.cvtColor, image, cv2.COLOR_BGR2GRAY))


class ArrivalPictures:
    """Makes pictures of images that have no time but that of their arrival."""

    def __init__(self, name: str) -> None:
        """The images are of a stream that messages call `name`."""
        self._decoder = ImageDecoder(name)
        self._start = math.inf
        self._shape = (0, 0, 3)

    def step(self, data: bytes | None, arrived: float) -> Picture | None:
        """The picture of an image that came at a moment of `time.monotonic()`; None where it is damaged."""
        shown = self._decoder.step(data) if data else None
        if shown is None:
            return None
        self._shape = shown.shape
        return Picture(self._time(arrived), "arrival", arrived, arrived, shown.shape, shown.write, shown.luma)

    def nothing_new(self, arrived: float) -> Picture:
        """The word that there is none."""
        return Picture(self._time(arrived), "arrival", arrived, arrived, self._shape, refuse, refuse, "same")

    def _time(self, arrived: float) -> float:
        self._start = min(self._start, arrived)
        return arrived - self._start


def _received(body: Body, name: str, timeouts: Timeouts) -> Iterator[Picture | None]:
    """The pictures of a stream of JPEG pictures, until it is lost."""
    open_s, read_s = timeouts
    connection, splitter, pictures = body.connection, JpegSplitter(), ArrivalPictures(name)
    seen, data = time.monotonic(), b""
    try:
        while data := body.read():
            for jpeg in splitter.step(data):
                connection.patience_s = read_s
                picture = pictures.step(jpeg, time.monotonic())
                yield picture
                seen = time.monotonic() if picture else seen
            if time.monotonic() - seen > max(timeouts):
                raise SourceError(f"{name}: lost, data comes, but for {max(timeouts):g} s no picture in it could be decoded")
        for jpeg in splitter.flush():
            yield pictures.step(jpeg, time.monotonic())
    except TimeoutError as error:
        if connection.patience_s is None:
            raise SourceError(f"{name}: {'data comes, but no picture' if data else 'no answer'} within {open_s:g} s") from error
        raise SourceError(f"{name}: lost, nothing came for {read_s:g} s") from error
    except OSError as error:
        raise SourceError(f"{name}: lost, {BROKEN_OFF}") from error
    raise SourceError(f"{name}: lost, the other side ended the stream")


class StillImage:
    """An image that a camera renews, and that is asked for again and again."""

    def __init__(self, client: HttpClient, first: Answer, read_s: float) -> None:
        """Ask by `client`, which has got a first answer; the camera is lost when all fails for `read_s` seconds."""
        self._client = client
        self._client.timeout_s = self._read_s = read_s
        self._last = b""
        self._splitter = JpegSplitter()  # knows a JPEG that was cut off
        self._etag = first.headers.get("etag")
        self._is_trusted = True  # as far as the camera says itself that nothing is new: with some, its word for that never changes
        self._asked = time.monotonic()  # for the image, whether it is new or not

    def pictures(self, data: bytes | None) -> Iterator[Picture | None]:
        """The pictures, of which `data` is the first; the next is asked for when it is taken. What is there still, and a failure, give no new one."""
        pictures, problem, answered = ArrivalPictures(self._client.name), None, time.monotonic()
        while True:
            arrived = time.monotonic()
            is_new = data is not None and data != self._last
            picture = pictures.step(self._whole(data or b""), arrived) if is_new else pictures.nothing_new(arrived)
            problem = problem or (None if picture else NO_IMAGE)
            if problem is None:
                answered = arrived
            elif arrived - answered >= self._read_s:
                raise SourceError(f"{self._client.name}: lost, {problem}")
            yield picture
            self._last = data if data is not None and picture else self._last
            data, problem = self._ask()

    def _whole(self, data: bytes) -> bytes | None:
        """The image, if it is all there."""
        if not START.match(data):
            return data
        return next(iter([*self._splitter.step(data), *self._splitter.flush()]), None)

    def _ask(self) -> tuple[bytes | None, str | None]:
        """The image, which may be the last one again; or why it is not there."""
        is_short = self._is_trusted and self._etag is not None and time.monotonic() - self._asked < TRUST_S
        try:
            with closing(self._client.ask({"If-None-Match": self._etag or ""} if is_short else {})) as answer:
                if answer.status == 304:
                    return self._last, None
                data = _whole(answer, self._client.name, self._client.timeout_s)
        except AccessError:
            raise
        except SourceError as error:
            return None, str(error).removeprefix(f"{self._client.name}: ")
        before, self._etag, self._asked = self._etag, answer.headers.get("etag"), time.monotonic()
        self._is_trusted = self._is_trusted and (self._etag != before or data == self._last)
        return data, None
