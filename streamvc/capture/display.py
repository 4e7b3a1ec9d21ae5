"""How a decoded picture is to be shown: turned or mirrored, with square pixels, without the comb of interlaced video."""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any

import av
import cv2
import numpy as np
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from streamvc.errors import SourceError
from streamvc.types import Array

MATRIX = struct.Struct("=9i")  # a b u, c d v, x y w: a pixel at x, y is shown at a x + c y, b x + d y
WITH_LUMA = frozenset({"gray", "nv12", "nv21"} | {f"{kind}{form}p" for kind in ("yuv", "yuvj") for form in ("411", "420", "422", "440", "444")})
NEARLY_SQUARE = 0.02  # share by which pixels may be wider or higher than a square, which nobody sees; containers round it so
WIDEST = 4  # times wider than high, or higher than wide; video knows 2 at most, and what says more is wrong
LONGEST_PX = 4096  # a side that would become longer stays as it is, and the other is shortened


@dataclass(frozen=True, slots=True)
class Orientation:
    """How a picture is turned: one of the eight ways to lay it down.

    Attributes:
        transposed: Rows become columns, before all else.
        flip: What `cv2.flip` calls the axis: 0 upside down, 1 mirrored, -1 both; None for neither.
    """

    transposed: bool = False
    flip: int | None = None

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height of a picture of this size as it is shown."""
        return (height, width) if self.transposed else (width, height)

    def apply(self, image: Array) -> Array:
        """The picture as it is shown; the same array where it is not turned."""
        shown: Array = cv2.transpose(image) if self.transposed else image
        return shown if self.flip is None else cv2.flip(shown, self.flip)


UPRIGHT = Orientation()


def _unknown(kind: type[Type], value: object) -> Type:
    """A kind of side data that PyAV has no name for yet, such as EXIF: without this, nothing else beside a picture could be read either."""
    member: Any = object.__new__(kind)
    member._name_, member._value_ = f"UNKNOWN_{value}", value
    return member  # type: ignore[no-any-return]


Type._missing_ = classmethod(_unknown)  # type: ignore[assignment, method-assign]


def orientation_of(frame: VideoFrame) -> Orientation:
    """What the display matrix of a frame says, to the nearest quarter turn; the EXIF of a JPEG comes as one, too."""
    told: Any = frame.side_data.get("DISPLAYMATRIX")
    if told is None:
        return UPRIGHT
    a, b, _, c, d, *_ = MATRIX.unpack(bytes(told)[: MATRIX.size])
    transposed = abs(b) + abs(c) > abs(a) + abs(d)
    mirrored, upside_down = (c < 0, b < 0) if transposed else (a < 0, d < 0)
    return Orientation(transposed, {(True, True): -1, (True, False): 1, (False, True): 0}.get((mirrored, upside_down)))


def squared(width: int, height: int, aspect: Fraction | None) -> tuple[int, int]:
    """Width and height of a picture once its pixels, `aspect` times as wide as high, are squares. Nothing is lost: one side becomes longer."""
    if not aspect or not 1 / WIDEST <= aspect <= WIDEST or abs(aspect - 1) <= NEARLY_SQUARE:
        return width, height
    wide, high = (round(width * aspect), height) if aspect > 1 else (width, round(height / aspect))
    if max(wide, high) > max(width, height, LONGEST_PX):
        wide, high = (width, round(height / aspect)) if aspect > 1 else (round(width * aspect), height)
    return max(1, wide), max(1, high)


def without_comb(image: Array, size: tuple[int, int]) -> Array:
    """An interlaced picture, brought to a size (width, height), from the first of the two moments that it shows line by line in turn."""
    shown: Array = cv2.resize(image[::2], size, interpolation=cv2.INTER_LINEAR)
    return shown


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """A decoded picture as it is shown, not yet converted; see `Picture`, which has the same attributes."""

    shape: tuple[int, int, int]
    write: Callable[[Array], None]
    luma: Callable[[], Array]


class Converter:
    """Brings decoded frames to BGR as they are shown."""

    def __init__(self, name: str) -> None:
        """Convert frames of a stream that messages call `name`."""
        self._name = name
        self._reformatter = VideoReformatter()

    def show(self, frame: VideoFrame, aspect: Fraction | None, orientation: Orientation) -> Shown:
        """A frame, whose pixels are `aspect` times as wide as high."""
        size = squared(frame.width, frame.height, aspect)
        width, height = orientation.size(*size)
        return Shown((height, width, 3), partial(self._write, frame, size, orientation), partial(self._luma, frame, size, orientation))

    def _write(self, frame: VideoFrame, size: tuple[int, int], orientation: Orientation, slot: Array) -> None:
        if frame.interlaced_frame:
            image = without_comb(self._convert(frame, (frame.width, frame.height), "bgr24"), size)
        else:
            image = self._convert(frame, size, "bgr24")
        np.copyto(slot, orientation.apply(image))

    def _luma(self, frame: VideoFrame, size: tuple[int, int], orientation: Orientation) -> Array:
        if frame.format.name in WITH_LUMA:
            plane = frame.planes[0]
            image: Array = np.frombuffer(memoryview(plane), np.uint8).reshape(frame.height, plane.line_size)[:, : frame.width]
            if size != (frame.width, frame.height):
                image = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
        else:
            image = self._convert(frame, size, "gray")
        return orientation.apply(image)

    def _convert(self, frame: VideoFrame, size: tuple[int, int], form: str) -> Array:
        # One reformatter for all frames: a frame's own one sets itself up anew each time, which costs more than the conversion.
        try:
            return self._reformatter.reformat(frame, *size, format=form, threads=1).to_ndarray()
        except av.FFmpegError as error:
            raise SourceError(f"{self._name}: pictures of the form {frame.format.name} cannot be converted ({error.strerror})") from error
