"""Stills and clips of events: what the camera saw when an activity began, and from some seconds before that to some seconds after it.

Frames are kept as small JPEG pictures, so that the seconds before an event are there when it begins. A thread of its own compresses them and writes
all files, not the one that recognises; clips as they go on, so that little is left to do at their end. A file is there when it is complete, or not
at all. The links are in the event before the files are: a clip is there when its activity, and the seconds after it, are over. What could not
be written has no link from then on, nor has what begins while nothing can be written.
"""

import logging
import os
import re
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self
from urllib.parse import quote

import cv2
import numpy as np
from numpy.typing import NDArray

from streamvc.clocks import SteadyClock
from streamvc.errors import ViewError
from streamvc.events import Detection, Media
from streamvc.threads import ChannelClosed, Mailbox, Worker, wait_for_any
from streamvc.types import Frame
from streamvc.view.video import VideoWriter, write_still

logger = logging.getLogger(__name__)

Job = Callable[[], None]

CLIP_HZ = 10.0  # frames of a clip per second
CLIP_PX = 640  # longest side of a clip's pictures
CLIP_QUALITY = 85  # of the JPEG pictures that are kept until there is a clip to write them to
LONGEST_S = 60.0  # of an activity that a clip shows
DECISION_S = 10.0  # frames are kept for so long besides the pre-roll: an activity starts as an event when it has gone on for a while
QUEUE_SIZE = 32  # files that may wait to be written
NUM_RAW = 32  # pictures that may wait to be compressed, 22 MB
NUM_REMEMBERED = 100  # files that could not be written; more than there are of what goes on at a time
TIDY_S = 60.0  # seconds between two looks at what is too old or too much
NAME = re.compile(r"[0-9A-Z]{26}\.(jpg|mp4)")  # of the files that are ours: an event's identifier
UNFINISHED = re.compile(r"\.[0-9A-Z]{26}\.[0-9]+\.partial\.(jpg|mp4)")  # and while they are written
HOLD_S = 3600.0  # for which a clock that is set ahead must stay there, before files that are old by it are removed
COMPLETE_S = 30.0  # for what is being recorded to be complete, at the end
TELL_S = 60.0  # between two words of what is lost for the same reason
ABANDONED_S = 3600.0  # after which an unfinished file is that of a program that was killed

STILL, CLIP = ".jpg", ".mp4"
NOTHING = Media(snapshot=None, clip=None)


@dataclass(frozen=True, slots=True)
class RecordingSettings:
    """Which stills and clips of events are recorded, and for how long they are kept.

    Attributes:
        folder: Where files go: `<folder>/<camera>/<event_id>.jpg` and `.mp4`.
        clips: Whether there are clips beside the stills.
        pre_roll_s: Seconds before the activity's start that a clip shows.
        post_roll_s: Seconds after its end.
        keep_s: Older files are removed; None for never.
        keep_bytes: The oldest files are removed beyond this sum; None for never.
    """

    folder: Path
    clips: bool = True
    pre_roll_s: float = 5.0
    post_roll_s: float = 2.0
    keep_s: float | None = 30 * 86400.0
    keep_bytes: int | None = 10 * 2**30


@dataclass(slots=True, eq=False)
class _Picture:
    """A picture that may become one of a clip: as it is, until the recorder's thread has compressed it."""

    timestamp: float
    image: NDArray[np.uint8] | None
    jpeg: bytes = b""

    def compress(self) -> None:
        self.jpeg = bytes(cv2.imencode(".jpg", self.image, [cv2.IMWRITE_JPEG_QUALITY, CLIP_QUALITY])[1])
        self.image = None

    def read(self) -> NDArray[np.uint8]:
        """The picture. For the thread that compresses it."""
        if self.image is not None:
            return self.image
        return np.asarray(cv2.imdecode(np.frombuffer(self.jpeg, np.uint8), cv2.IMREAD_COLOR), np.uint8)


class _Clip:
    """The clip of an activity that goes on, or has ended a moment ago. One thread adds pictures, another writes them meanwhile."""

    def __init__(self, path: Path, until: float) -> None:
        self.until = until
        self.ended = False
        self.is_queued = False  # it is to be written soon
        self.path = path
        self._waiting: deque[_Picture] = deque()
        self._writer: VideoWriter | None = None
        self._is_lost = False

    def add(self, picture: _Picture) -> None:
        if picture.timestamp <= self.until:
            self._waiting.append(picture)

    def write(self) -> None:
        """Write the pictures that wait."""
        self.is_queued = False
        try:
            while self._waiting:
                picture = self._waiting.popleft()
                if not self._is_lost:
                    self._writer = self._writer or VideoWriter(self.path, threads=1)
                    self._writer.show(picture.read(), picture.timestamp)
        except Exception:
            self._is_lost = True
            raise

    def complete(self) -> None:
        """Write the pictures that wait, and close the file."""
        self.write()
        if self._writer:
            self._writer.close()


class Recorder:
    """Records the events of one camera. Use it in one thread, and close it: that completes the clips of what was going on.

    Whatever goes wrong with a recording, nothing else fails by it: but for the constructor nothing raises.

    Attributes:
        num_lost: Files that could not be written.
    """

    def __init__(self, camera: str, recording: RecordingSettings) -> None:
        """Begin.

        Raises:
            ViewError: The folder cannot be made.
        """
        self._recording = recording
        self._folder = recording.folder.resolve() / _escaped(camera)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ViewError(f"{self._folder}: cannot be made: {error.strerror}") from error
        self._pictures: deque[_Picture] = deque()
        self._clips: dict[str, _Clip] = {}
        self.num_lost = 0
        self._lost: deque[Path] = deque(maxlen=NUM_REMEMBERED)  # the last of the files that could not be written
        self._failing: dict[str, str] = {}  # by suffix, why the last file could not be
        self._told = 0.0
        self._tidied = -TIDY_S
        self._clock: SteadyClock | None = None  # by which files are old
        self._jobs: Mailbox[Job] = Mailbox(QUEUE_SIZE + NUM_RAW)
        self._worker = Worker("record", self._write_all, self._jobs.close, close_s=COMPLETE_S).start()

    def see(self, frame: Frame) -> None:
        """Take every frame of the stream, before the detections made with it."""
        if self._recording.clips:
            self._contain(partial(self._see, frame))

    def _see(self, frame: Frame) -> None:
        if self._pictures and frame.timestamp < self._pictures[-1].timestamp:  # time begins anew
            self._finish_clips()
            self._pictures.clear()
        if self._pictures and frame.timestamp < self._pictures[-1].timestamp + 1 / CLIP_HZ - 1e-6:
            return
        picture = _Picture(frame.timestamp, _small(frame.image))
        self._compress(picture)
        self._pictures.append(picture)
        while self._pictures[0].timestamp < picture.timestamp - self._recording.pre_roll_s - DECISION_S:
            self._pictures.popleft()
        for clip in self._clips.values():
            clip.add(picture)
            self._queue_pictures(clip)
        self._finish_clips(lambda clip: clip.ended and clip.until < picture.timestamp)

    def link(self, event_id: str, detection: Detection, image: NDArray[np.uint8]) -> Media:
        """Record a detection; returns where its files will be.

        Args:
            event_id: Of the event.
            detection: The decision.
            image: (H, W, 3) uint8, BGR, the frame that it was made with.

        Returns:
            The links, as `file:` URIs; None for what is not recorded, or could not be.
        """
        still, clip = (self._folder / f"{event_id}{suffix}" for suffix in (STILL, CLIP))
        failing = set(self._failing) if detection.phase == "start" else set()
        if detection.phase == "start":
            self._contain(lambda: self._queue(still, partial(write_still, still, image.copy())), still)
            if self._recording.clips:
                self._contain(partial(self._begin_clip, event_id, clip, detection.t_start), clip)
        elif detection.phase == "end" and event_id in self._clips:
            running = self._clips[event_id]
            running.ended = True
            running.until = min(running.until, detection.timestamp + self._recording.post_roll_s)
        still_link, clip_link = (None if path in self._lost or path.suffix in failing else path.as_uri() for path in (still, clip))
        return Media(still_link, clip_link if self._recording.clips else None)

    @property
    def problem(self) -> str | None:
        """Why stills, or clips, cannot be written: the last of one of them could not. Any thread may ask."""
        return next(iter(self._failing.copy().values()), None)

    @property
    def is_recording(self) -> bool:
        """Whether there may be something left to be written."""
        return self._worker.is_running

    def finish(self) -> None:
        """Complete what is being recorded, without waiting for it; nothing else may be recorded then."""
        self._contain(self._finish_clips)
        self._jobs.close()

    def close(self) -> None:
        """Complete what is being recorded."""
        self.finish()
        self._worker.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _compress(self, picture: _Picture) -> None:
        """Let the other thread compress a picture, unless it is so far behind that this one has to."""
        num_raw = sum(each.image is not None for each in self._pictures)
        if num_raw >= NUM_RAW or not self._jobs.offer(picture.compress):
            picture.compress()

    def _begin_clip(self, event_id: str, path: Path, t_start: float) -> None:
        clip = _Clip(path, t_start + LONGEST_S)
        for picture in self._pictures:
            if picture.timestamp >= t_start - self._recording.pre_roll_s:
                clip.add(picture)
        self._clips[event_id] = clip
        self._queue_pictures(clip)

    def _finish_clips(self, chosen: Callable[[_Clip], bool] = lambda _clip: True) -> None:
        for event_id, clip in list(self._clips.items()):
            if chosen(clip):
                del self._clips[event_id]
                self._queue(clip.path, clip.complete)

    def _queue_pictures(self, clip: _Clip) -> None:
        """Have the waiting pictures of a clip written; where the queue is full, that is done with the next picture."""
        if not clip.is_queued:
            clip.is_queued = True
            if not self._jobs.offer(partial(self._write, clip.path, clip.write)):
                clip.is_queued = False

    def _queue(self, path: Path, job: Job) -> None:
        if not self._jobs.offer(partial(self._write, path, job)):
            self._lose(path, "too many files wait to be written")

    def _lose(self, path: Path | None, reason: object) -> None:
        """A file cannot be written, or where none is named, something of the clips as a whole is missing."""
        self.num_lost += path is not None
        if path:
            self._lost.append(path)
        if not self._failing or time.monotonic() - self._told >= TELL_S:
            self._told = time.monotonic()
            logger.error("a recording is lost: %s", reason)
        self._failing[path.suffix if path else CLIP] = str(reason)

    def _write_all(self) -> None:
        while True:
            wait_for_any([self._jobs], None)
            for job in self._jobs.take():
                self._contain(job)

    def _write(self, path: Path, job: Job) -> None:
        self._contain(job, path)
        if path not in self._lost:  # else it is not tried again
            self._failing.pop(path.suffix, None)
        self._tidy()

    def _contain(self, job: Job, path: Path | None = None) -> None:
        """Do something about a file, or about clips; whatever goes wrong with a recording, nothing else is to fail by it."""
        try:
            job()
        except ChannelClosed:
            self._lose(path, "nothing is recorded any more")
        except ViewError as error:
            self._lose(path, error)
        except Exception as error:
            self._lose(path, f"{type(error).__name__}: {error}")

    def _tidy(self) -> None:
        if time.monotonic() - self._tidied < TIDY_S:
            return
        self._tidied = time.monotonic()
        try:
            self._clock = self._clock or SteadyClock(HOLD_S, newest(self._recording))
            for path in outdated(self._recording, self._clock.step(time.time(), time.monotonic())):
                path.unlink(missing_ok=True)
        except OSError as error:
            logger.error("%s: old recordings cannot be removed: %s", self._recording.folder, error.strerror)


def newest(recording: RecordingSettings) -> float | None:
    """When the newest file was written, in Unix seconds; None where there is none."""
    return max((found.st_mtime for found, _ in _files(recording.folder, NAME)), default=None)


def outdated(recording: RecordingSettings, now: float) -> Iterator[Path]:
    """The files in a recording's folder that are too old, beyond what may be kept, or left unfinished; never one that is not an event's.

    Args:
        recording: What is kept.
        now: In Unix seconds.
    """
    yield from (path for found, path in _files(recording.folder, UNFINISHED) if now - found.st_mtime > ABANDONED_S)
    kept = 0
    for found, path in sorted(_files(recording.folder, NAME), key=lambda each: each[0].st_mtime, reverse=True):
        kept += found.st_size
        too_old = recording.keep_s is not None and now - found.st_mtime > recording.keep_s
        if too_old or (recording.keep_bytes is not None and kept > recording.keep_bytes):
            yield path


def _files(folder: Path, name: re.Pattern[str]) -> Iterator[tuple[os.stat_result, Path]]:
    for path in folder.glob("*/*"):
        if name.fullmatch(path.name):
            with suppress(FileNotFoundError):  # the recorders of other cameras remove old files too
                yield path.stat(), path


def _small(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A copy of an image in the size of clips."""
    scale = CLIP_PX / max(image.shape[:2])
    if scale >= 1:
        return image.copy()
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def _escaped(camera: str) -> str:
    """A camera's name as that of a folder; a name of dots alone is none."""
    name = quote(camera, safe="")
    return name if name.strip(".") else name.replace(".", "%2E")
