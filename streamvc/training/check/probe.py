"""Opens videos to see whether they can be used, by the decoder that runs live."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from streamvc.capture import address
from streamvc.capture.stream import Picture
from streamvc.capture.video_file import Recording, open_recording
from streamvc.errors import SourceError
from streamvc.training.progress import Advance, silent

WHOLE_S = 20.0  # seconds; videos up to that length are decoded from start to end, of longer ones the first picture and the end
END_S = 1.0  # seconds that the end of a long video lasts

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """The header of a video, and what of it can be decoded.

    Attributes:
        codec: Short name of its codec, such as `h264`.
        width_px: Width of its pictures as they are shown.
        height_px: Height of them.
        fps: Pictures/s as announced; None where nothing is announced.
        length_s: Seconds up to the end of its last picture.
        announced_s: Length in seconds as announced; None where it is not.
        num_damaged: How many of the pictures that were looked at cannot be decoded.
    """

    codec: str
    width_px: int
    height_px: int
    fps: float | None
    length_s: float
    announced_s: float | None
    num_damaged: int


def probe(path: Path) -> VideoFacts:
    """Read the header, the first picture and the last one; of a short video all in between too.

    Raises:
        SourceError: There is nothing in it that can be used.
    """
    with open_recording(address.find(path).location) as recording:
        height = width = num_damaged = 0
        end_s = 0.0
        try:
            for picture in _pictures(recording):
                if picture is None:
                    num_damaged += 1
                    continue
                if not height:
                    height, width, _ = _image(picture).shape
                end_s = picture.timestamp + (1 / recording.fps if recording.fps else 0.0)
        except SourceError:
            if not height:
                raise
        if not height:
            raise SourceError(f"{path}: no picture in it can be decoded")
        return VideoFacts(recording.codec, width, height, recording.fps, end_s, recording.length_s, num_damaged)


def probe_all(paths: Sequence[Path], num_workers: int | None = None, advance: Advance = silent) -> dict[Path, VideoFacts | str]:
    """The facts of each video, or why it cannot be used.

    Args:
        paths: The videos.
        num_workers: How many are opened at a time; as many as there are cores if not given.
        advance: Is called with the progress.
    """

    def look(path: Path) -> VideoFacts | str:
        try:
            return probe(path)
        except SourceError as error:
            return str(error)

    found: dict[Path, VideoFacts | str] = {}
    for path, facts in in_parallel(look, paths, num_workers):
        found[path] = facts
        advance("videos", len(found), len(paths))
    return {path: found[path] for path in paths}


def picture_at(path: Path, moment_s: float) -> NDArray[np.uint8] | None:
    """The first good picture of a video at or after a moment in seconds, (H, W, 3) BGR; None where there is none."""
    try:
        with open_recording(str(path)) as recording:
            picture = next(filter(None, recording.pictures(moment_s)), None)
            return None if picture is None else _image(picture)
    except SourceError:
        return None


def in_parallel(function: Callable[[T], R], items: Sequence[T], num_workers: int | None = None) -> Iterator[tuple[T, R]]:
    """Each item with what a function makes of it, in the order in which they are done."""
    # Decoding lets go of the interpreter lock.
    with ThreadPoolExecutor(num_workers or os.cpu_count() or 1, thread_name_prefix="streamvc-probe") as pool:
        futures = {pool.submit(function, item): item for item in items}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _pictures(recording: Recording) -> Iterator[Picture | None]:
    if (recording.length_s or 0.0) <= WHOLE_S:
        yield from recording.pictures()
        return
    for picture in recording.pictures():
        yield picture
        if picture:
            break
    frame_s = 1 / recording.fps if recording.fps else 0.0
    is_empty = True
    for picture in recording.pictures((recording.length_s or 0.0) - frame_s - END_S):
        is_empty = is_empty and picture is None
        yield picture
    if is_empty:  # it ends earlier, as only reading it tells
        yield from recording.pictures(0.0)


def _image(picture: Picture) -> NDArray[np.uint8]:
    image = np.empty(picture.shape, np.uint8)
    picture.write(image)
    return image
