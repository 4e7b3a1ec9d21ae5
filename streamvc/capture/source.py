"""Opens a camera, a file, a folder of images or a network stream, and reads it in a thread of its own."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

from streamvc.capture import address
from streamvc.capture.buffer import NUM_SLOTS, FrameBuffer
from streamvc.capture.loop import NO_IMAGE, capture
from streamvc.capture.messages import CaptureSettings, Due, FinishReason, MotionSettings, Opened, Policy
from streamvc.capture.opening import OPEN_TIMEOUT_S, READ_TIMEOUT_S
from streamvc.errors import AccessError, SourceError
from streamvc.health import Rate
from streamvc.threads import ChannelClosed, Worker
from streamvc.types import Array, Frame

FAILURES: dict[FinishReason, type[SourceError]] = {"lost": SourceError, "refused": AccessError}  # what each way to end is raised as


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
        fps: Images a second: of a folder, 25 by default; of a still image that is asked for over HTTP, 5. The same image again is no new frame.
        open_timeout_s: Seconds after which a stream that does not answer is given up.
        read_timeout_s: Seconds after which a stream that falls silent is lost.
        buffer_frames: How many frames are held, at least 3: unread ones, and those that `Source.recent` can give.

    Raises:
        SourceError: It cannot be opened, or there is no picture in it.
        ValueError: `fps` is not above 0, or `buffer_frames` below 3.
    """
    if fps is not None and fps <= 0:
        raise ValueError(f"fps must be above 0, not {fps}")
    name = address.find(source).name
    settings = CaptureSettings(
        name,
        str(source),
        rates_hz=(),
        fps=fps,
        motion=MotionSettings(gate=False),
        frozen_s=0.0,
        open_timeout_s=open_timeout_s,
        read_timeout_s=read_timeout_s,
        staleness_s=math.inf,
        play="paced" if pace else "unpaced",
        policy=policy,
        all_pictures=True,
    )
    return Source(settings, buffer_frames)


class Source:
    """The frames of an open source; iterate over it. Made by `open_source`; use it in a `with` block, or close it.

    A frame's image is lent: it is valid until the next frame is taken. A thread reads the source into a ring of recent frames and, under
    `latest`, never waits for the reader. What goes wrong there is raised where the frames are read, after the last good one.
    """

    def __init__(self, settings: CaptureSettings, buffer_frames: int) -> None:
        self._settings = settings
        self._buffer = FrameBuffer(buffer_frames)
        self._receiver = BufferReceiver(self._buffer)
        self._worker = Worker("capture", self._capture, self._buffer.stop).start()
        try:
            self._buffer.peek()
        except BaseException:
            self.close()
            raise

    @property
    def name(self) -> str:
        """What to call it: the path, the camera, or the URL without its password."""
        return self._settings.name

    @property
    def is_live(self) -> bool:
        """It happens now; False for a recording."""
        return self._receiver.opened.is_live

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the newest frame, in pixels."""
        return self._receiver.opened.size

    @property
    def fps(self) -> float:
        """Frames/s: as announced by a recording, measured for the last frames otherwise; 0.0 while unknown."""
        announced = self._receiver.opened.fps
        return (None if self.is_live else announced) or self._receiver.rate.value or announced or 0.0

    @property
    def dropped(self) -> int:
        """Frames so far that were replaced by a newer one before anybody read them."""
        return self._buffer.dropped

    @property
    def corrupt(self) -> int:
        """Pictures so far that were damaged and left out."""
        return self._receiver.num_corrupt

    @property
    def duration_s(self) -> float | None:
        """Length of a recording in seconds, as announced; None where unknown."""
        return self._receiver.opened.duration_s

    @property
    def num_frames(self) -> int | None:
        """Number of frames of a recording, as announced or estimated; None where unknown."""
        return self._receiver.opened.num_frames

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
            finished = capture(self._settings, self._receiver)
            problem = FAILURES[finished.reason](finished.detail) if finished.reason in FAILURES else None
        except BaseException as error:  # handed over to the reader; no more than "closed", where the reader has left
            problem = error
        self._buffer.close(problem)


class BufferReceiver:
    """Pictures go into the ring of recent frames. See `Receiver`."""

    def __init__(self, buffer: FrameBuffer) -> None:
        self.opened: Opened
        self.rate = Rate()
        self.num_corrupt = 0
        self._buffer = buffer

    def open(self, opened: Opened) -> None:
        self.opened = opened

    def put(self, due: Due, write: Callable[[Array], None] | None) -> bool:
        self.num_corrupt = due.corrupt
        self.rate.step(due.timestamp, due.index)
        if write is not None:
            width, height = self.opened.size
            frame = Frame(due.index, due.timestamp, NO_IMAGE, due.clock, due.captured, segment=due.segment, began=due.began)
            self._buffer.put(frame, (height, width, 3), write, self.opened.policy)
        return True

    def wait_until(self, moment: float) -> None:
        self._buffer.wait_until(moment)
