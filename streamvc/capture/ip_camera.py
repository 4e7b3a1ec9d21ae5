"""Cameras that send JPEG pictures over HTTP or TCP, one behind the other, and those whose still image is asked for again and again.

What comes says which it is, not the address alone. FFmpeg reads all else, over the connection that there is already.
"""

import math
import re
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, Literal
from urllib.parse import urlsplit

import av
from av.video.codeccontext import VideoCodecContext

from streamvc.capture.container import Timeouts
from streamvc.capture.decoder import refuse
from streamvc.capture.display import Converter, Shown, orientation_of
from streamvc.capture.http import Body, HttpClient
from streamvc.capture.jpegs import MAX_BYTES, START, START_MARK, JpegSplitter
from streamvc.capture.stream import Decode, Picture, Stream, check_size
from streamvc.capture.video import open_body, open_url
from streamvc.errors import AccessError, SourceError
from streamvc.types import MOST_PX

DEFAULT_FPS = 5.0  # at which a still image is asked for
LOOK_BYTES = 1 << 16  # that are looked at, at most, to tell what a stream is made of
CODED = re.compile(rb"\xff(.)", re.DOTALL)
SIZE = re.compile(rb"\xff[\xc0-\xc2].{3}(..)(..)", re.DOTALL)  # of a JPEG picture: height and width
LEAST_CODED, SHARE_CODED = 16, 0.9
TRUST_S = 2.0  # after which the word that nothing is new is held against the image itself
NO_IMAGE = "it cannot be read as an image: it is damaged, cut short, or none at all"
IMAGES = {START_MARK: "mjpeg", b"\x89PNG": "png", b"BM": "bmp", b"II*\0": "tiff", b"MM\0*": "tiff"}  # how they begin, and FFmpeg's decoder of each
TEXT = (b"<", b"#", b"{")  # as playlists and web pages begin
TS_PACKET_BYTES, TS_SYNC = 188, 0x47
VIDEO = (b"FLV", b"\x1aE\xdf\xa3", b"RIFF", b"OggS", b"\0\0\1", b"\0\0\0")  # FLV, Matroska, AVI, Ogg, H.264 and MPEG as they are, MP4

Kind = Literal["pictures", "still", "video"]


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
        SourceError: It cannot be reached, refuses otherwise, leads to where it may not, or is neither picture nor video.
    """
    if urlsplit(url).query.startswith("listen"):
        with open_url(url, name, timeouts, decode) as stream:
            yield stream
        return
    with closing(HttpClient(url, name, timeouts[0])) as client:
        body = client.ask()
        match _look(body):
            case _ if client.problem:
                raise client.problem
            case "pictures":
                yield Stream(_received(client, body, timeouts), is_live=True, codec="mjpeg")
            case "still":
                data = _whole(client, body)
                yield Stream(StillImage(client, body, timeouts[1]).pictures(data), is_live=True, poll_s=1 / (fps or DEFAULT_FPS))
            case "video":
                with open_body(client, body, timeouts, decode) as stream:
                    yield stream


def _look(body: Body) -> Kind:
    """What comes, by what is said of it, and where that says little, by how it begins."""
    told = body.headers.get("Content-Type", "").lower().partition(";")[0].strip()
    if told.startswith("multipart/") or (told.startswith("video/") and "jpeg" in told):
        return "pictures"
    if body.is_playlist or told.startswith(("video/", "audio/")) or told == "image/gif":
        return "video"
    if told.startswith("image/") and "jp" not in told:
        return "still"
    head = _head(body)
    body.unread(head)
    if told.startswith("image/") or START.match(head):
        return _one_or_many(body)
    if body.size is not None:
        return "still" if head.startswith(tuple(IMAGES)) else "video"
    is_video = head.lstrip().startswith(TEXT) or head.startswith(VIDEO) or _is_transport_stream(head)
    return "pictures" if not is_video and (START.search(head) or _is_jpeg_data(head)) else "video"


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


def _whole(client: HttpClient, body: Body) -> bytes:
    """All of an image.

    Raises:
        SourceError: It does not come, or has no end.
    """
    data = b""
    while piece := body.read():
        data += piece
        if len(data) > MAX_BYTES:
            raise SourceError(f"{client.name}: its image has no end")
    if client.problem:
        raise client.problem
    return data


class ImageDecoder:
    """Decodes images, each by itself."""

    def __init__(self, name: str) -> None:
        """Decode the images of a stream that messages call `name`."""
        self._name = name
        self._converter = Converter(name)
        self._codecs: dict[str, VideoCodecContext] = {}

    def step(self, data: bytes) -> Shown | None:
        """The picture of an image; None where it is damaged, or none that is known.

        Raises:
            SourceError: It is too large.
        """
        kind = next((kind for begin, kind in IMAGES.items() if data.startswith(begin)), None)
        if kind is None:
            return None
        codec = self._codecs.get(kind) or self._new(kind)
        packet = av.Packet(data)
        packet.is_keyframe = True  # else the decoder of PNG adds the picture before
        try:
            frames = codec.decode(packet)
        except av.error.ArgumentError:
            if found := SIZE.search(data):
                check_size(self._name, int.from_bytes(found[2]), int.from_bytes(found[1]))
            return None
        except av.FFmpegError:
            return None
        if not frames or frames[0].is_corrupt:
            return None
        return self._converter.show(frames[0], codec.sample_aspect_ratio, orientation_of(frames[0]))

    def _new(self, kind: str) -> VideoCodecContext:
        codec: Any = av.CodecContext.create(kind, "r")
        codec.thread_count = 1
        codec.options = {"max_pixels": str(MOST_PX)}  # what is larger is not decoded at all
        return self._codecs.setdefault(kind, codec)


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


def _received(client: HttpClient, body: Body, timeouts: Timeouts) -> Iterator[Picture | None]:
    """The pictures of a stream of JPEG pictures, until it is lost."""
    splitter, pictures = JpegSplitter(), ArrivalPictures(client.name)
    patience_s = max(timeouts)
    seen = time.monotonic()
    client.within(patience_s)
    while data := body.read():
        for jpeg in splitter.step(data):
            client.is_open, client.timeout_s = True, timeouts[1]
            picture = pictures.step(jpeg, time.monotonic())
            yield picture
            seen = time.monotonic() if picture else seen
        if time.monotonic() - seen > patience_s:
            raise SourceError(f"{client.name}: lost, data comes, but for {patience_s:g} s no picture in it could be decoded")
        client.within(patience_s)
    for jpeg in splitter.flush():
        yield pictures.step(jpeg, time.monotonic())
    raise client.problem or SourceError(f"{client.name}: lost, the other side ended the stream")


class StillImage:
    """An image that a camera renews, and that is asked for again and again."""

    def __init__(self, client: HttpClient, first: Body, read_s: float) -> None:
        """Ask by `client`, which has got a first answer; the camera is lost when all fails for `read_s` seconds."""
        self._client = client
        self._client.timeout_s = self._read_s = read_s
        self._url = first.url
        self._last = b""
        self._splitter = JpegSplitter()  # knows a JPEG that was cut off
        self._etag = first.headers.get("ETag")
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
        self._client.within(self._read_s)
        try:
            with closing(self._client.ask(self._url, {"If-None-Match": self._etag or ""} if is_short else {})) as body:
                if body.status == 304:
                    return self._last, None
                data = _whole(self._client, body)
        except AccessError:
            raise
        except SourceError as error:
            return None, str(error).removeprefix(f"{self._client.name}: ")
        before, self._etag, self._asked = self._etag, body.headers.get("ETag"), time.monotonic()
        self._is_trusted = self._is_trusted and (self._etag != before or data == self._last)
        return data, None
