"""Opens a camera, a file, a folder of images or a network stream, and reads it in a thread of its own."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Self

from streamvc.capture import address
from streamvc.capture.address import Address
from streamvc.capture.buffer import NUM_SLOTS, FrameBuffer, Policy
from streamvc.capture.camera import open_camera
from streamvc.capture.images import open_images
from streamvc.capture.stream import Decode, Stream
from streamvc.capture.timeline import Arrivals, paced
from streamvc.capture.video import open_file, open_url
from streamvc.errors import SourceError
from streamvc.threads import ChannelClosed, Worker
from streamvc.types import Frame

OPEN_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 5.0

Opener = Callable[[], AbstractContextManager[Stream]]


def open_source(
    source: str | int | Path,
    *,
    policy: Policy | None = None,
    pace: bool = False,
    fps: float | None = None,
    open_timeout_s: float = OPEN_TIMEOUT_S,
    read_timeout_s: float = READ_TIMEOUT_S,
    buffer_frames: int = NUM_SLOTS,
) -> "Source":
    """Open a source of video, and wait for its first frame.

    Args:
        source: A camera's number (0 or "0"), a video file, a folder of images, or a URL (rtsp, http, rtmp, udp, ...).
        policy: `latest`: the newest frame wins, and older ones that nobody has read are dropped and counted; for those who must not fall
            behind. `every`: none is dropped; the source waits, or a live one falls behind. None: `latest` for what is live, else `every`.
        pace: Play a recording at its own speed, as a camera would, instead of as fast as it is read.
        fps: Images a second, for a folder; 25 by default.
        open_timeout_s: Seconds after which a stream that does not answer is given up.
        read_timeout_s: Seconds after which a stream that falls silent is lost.
        buffer_frames: How many frames are held, at least 3: unread ones, and those that `Source.recent` can give.

    Raises:
        SourceError: It cannot be opened, or there is no picture in it.
        ValueError: `fps` is not above 0, or `buffer_frames` below 3.
    """
    if fps is not None and fps <= 0:
        raise ValueError(f"fps must be above 0, not {fps}")
    found = address.find(source)
    return Source(found.name, _opener(found, fps, open_timeout_s, read_timeout_s), policy, pace, buffer_frames)


def open_stream(
    source: str | Path,
    *,
    open_timeout_s: float = OPEN_TIMEOUT_S,
    read_timeout_s: float = READ_TIMEOUT_S,
    decode: Decode = "all",
) -> AbstractContextManager[Stream]:
    """Open a source whose pictures are taken, and those that are wanted converted, by the calling thread, as fast as it can.

    Args:
        source: As for `open_source`.
        open_timeout_s: Seconds after which a stream that does not answer is given up.
        read_timeout_s: Seconds after which a stream that falls silent is lost.
        decode: Which pictures of a video are decoded at all.

    Raises:
        SourceError: It cannot be opened.
    """
    return _opener(address.find(source), None, open_timeout_s, read_timeout_s, decode)()


def _opener(found: Address, fps: float | None, open_timeout_s: float, read_timeout_s: float, decode: Decode = "all") -> Opener:
    match found.kind:
        case "camera":
            return partial(open_camera, int(found.location), read_timeout_s)
        case "file":
            return partial(open_file, found.location, decode)
        case "images":
            return partial(open_images, Path(found.location), fps)
        case "url":
            return partial(open_url, found.location, found.name, (open_timeout_s, read_timeout_s), decode)


class Source:
    """The frames of an open source; iterate over it. Made by `open_source`; use it in a `with` block, or close it.

    A frame's image is lent: it is valid until the next frame is taken. A thread reads the source into a ring of recent frames and, under
    `latest`, never waits for the reader. What goes wrong there is raised where the frames are read, after the last good one.
    """

    def __init__(self, name: str, opener: Opener, policy: Policy | None, pace: bool, buffer_frames: int) -> None:
        self._name = name
        self._opener = opener
        self._policy = policy
        self._pace = pace
        self._buffer = FrameBuffer(buffer_frames)
        self._arrivals = Arrivals()
        self._num_corrupt = 0
        self._stream: Stream  # set before the first frame is there
        self._shape = (0, 0, 3)
        self._wall_s = time.time() - time.monotonic()  # from the monotonic clock to Unix time
        self._worker = Worker("capture", self._capture, self._buffer.stop).start()
        try:
            self._buffer.peek()
        except BaseException:
            self.close()
            raise

    @property
    def name(self) -> str:
        """What to call it: the path, the camera, or the URL without its password."""
        return self._name

    @property
    def is_live(self) -> bool:
        """It happens now; False for a recording."""
        return self._stream.is_live

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the newest frame, in pixels."""
        height, width, _ = self._shape
        return width, height

    @property
    def fps(self) -> float:
        """Frames/s: as announced by a recording, measured for the last frames otherwise; 0.0 while unknown."""
        return (None if self.is_live else self._stream.fps) or self._arrivals.fps or self._stream.fps or 0.0

    @property
    def dropped(self) -> int:
        """Frames so far that were replaced by a newer one before anybody read them."""
        return self._buffer.dropped

    @property
    def corrupt(self) -> int:
        """Pictures so far that were damaged and left out."""
        return self._num_corrupt

    @property
    def epoch_s(self) -> float:
        """Unix time of stream time 0, in seconds; 0.0 for a recording, so that each replay gives the same events.

        It may move back within the first second of a live stream, as a network stream's first frames come late, all together.
        """
        return self._wall_s + self._arrivals.start if self.is_live else 0.0

    @property
    def duration_s(self) -> float | None:
        """Length of a recording in seconds, as announced; None where unknown."""
        return self._stream.duration_s

    @property
    def num_frames(self) -> int | None:
        """Number of frames of a recording, as announced or estimated; None where unknown."""
        return self._stream.num_frames

    def recent(self, seconds: float) -> list[Frame]:
        """Copies of the frames of the last `seconds`, as far as the buffer holds them, oldest first. May be called by any thread."""
        return self._buffer.recent(seconds)

    def wait(self, timeout_s: float) -> bool:
        """Wait for the next frame, or the end; False where neither came within so many seconds."""
        return self._buffer.wait(timeout_s)

    def stop(self) -> None:
        """End the iteration, also one that waits now. May be called by any thread and by a signal handler: it does not wait for anything."""
        self._buffer.stop()

    def close(self) -> None:
        """Stop, and wait until the source is released. A network stream that is silent is let go at the end of its read time-out."""
        self._worker.close()
        self._buffer.clear()

    def __iter__(self) -> Iterator[Frame]:
        return self

    def __next__(self) -> Frame:
        try:
            return self._buffer.get()
        except ChannelClosed:
            raise StopIteration from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _capture(self) -> None:
        problem: BaseException | None = None
        try:
            with self._opener() as stream:
                self._pump(stream)
        except BaseException as error:  # handed over to the reader; no more than "closed", where the reader has left
            problem = error
        self._buffer.close(problem)

    def _pump(self, stream: Stream) -> None:
        self._stream = stream
        policy = self._policy or ("latest" if stream.is_live else "every")
        held = stream.in_bursts or (self._pace and not stream.is_live)
        for index, picture in enumerate(paced(stream.pictures, self._buffer.wait_until) if held else stream.pictures):
            if picture is None:
                self._num_corrupt += 1
                continue
            self._shape = picture.shape
            self._arrivals.step(picture.timestamp, picture.captured)
            self._buffer.put(index, picture, policy)
        if not any(self._shape[:2]):
            raise SourceError(f"{self._name}: no picture in it can be decoded")
