"""Whether anything moves in front of a camera, seen in a small grey picture; and whether the camera still shows what is there."""

import zlib

import cv2
import numpy as np
from numpy.typing import NDArray

from streamvc.capture.messages import MotionSettings

Grey = NDArray[np.uint8]

WIDTH_PX = 80  # of the small picture: noise is averaged out, and a person who is 1/20 of the picture high still shows
LEAST_CHANGE, GREATEST_CHANGE = 2.0, 24.0  # grey levels by which a small pixel must change, at the highest and the lowest sensitivity
NUM_MOVED = 3  # small pixels that must have changed
ROW_STEP = 16  # one row in so many goes into the fingerprint
LOOK_S = 1.0  # seconds between two looks for whether a picture is frozen: it costs as much as to tell the time of several pictures


def small_size(height: int, width: int) -> tuple[int, int]:
    """Height and width of the small picture of one of this size."""
    return max(1, round(WIDTH_PX * height / width)), WIDTH_PX


def shrink(luma: Grey) -> Grey:
    """A small picture of a luma plane, (H, W) uint8, in which each pixel is the mean of 16 of those that it stands for."""
    height, width = small_size(*luma.shape)
    # In two steps, of which the first looks at as many pixels of a large picture as of a small one: that takes a quarter of the time.
    double = cv2.resize(luma, (2 * width, 2 * height), interpolation=cv2.INTER_LINEAR)
    small: Grey = cv2.resize(double, (width, height), interpolation=cv2.INTER_AREA)
    return small


def fingerprint(luma: Grey, small: Grey) -> int:
    """A number that is the same for bit-identical pictures, and hardly ever for others: of the small picture, and of some rows in full."""
    return zlib.crc32(luma[::ROW_STEP].tobytes(), zlib.crc32(small.tobytes()))


class MotionGate:
    """Closed while nothing moves: `step` says whether a picture is to be analysed.

    A picture is held against the last one in which there was motion, so that what moves slowly is seen, too, once it has moved far enough.
    """

    def __init__(self, settings: MotionSettings, mask: Grey | None = None) -> None:
        """Look where `mask`, as large as the small pictures, is not 0; everywhere where it is None."""
        self._settings = settings
        self._mask = mask
        self._level = GREATEST_CHANGE * (LEAST_CHANGE / GREATEST_CHANGE) ** settings.sensitivity
        self._reference: Grey | None = None
        self._now = self._moved = 0.0  # stream time of the last picture, and of the last motion
        self._passed = 0.0  # of the last picture that was let through

    def step(self, small: Grey, timestamp: float) -> bool:
        """Take the next small picture, and its stream time in seconds."""
        if not self._settings.gate:
            return True
        self._now = timestamp
        if self._reference is None or self._moves(small, self._reference):
            self._reference, self._moved = small, timestamp
        elif timestamp - self._moved > self._settings.settle_s:
            if timestamp - self._passed < self._settings.keep_alive_s:
                return False
            self._reference = small  # daylight changes slowly
        self._passed = timestamp
        return True

    @property
    def is_closed(self) -> bool:
        """Nothing has moved for so long that pictures are left out, but for one now and then."""
        return self._settings.gate and self._reference is not None and self._now - self._moved > self._settings.settle_s

    def reset(self) -> None:
        """Forget what was seen: the next picture is let through."""
        self._reference = None

    def _moves(self, small: Grey, reference: Grey) -> bool:
        change = cv2.absdiff(small, reference)
        if self._mask is not None:
            change = cv2.bitwise_and(change, self._mask)
        return int(np.count_nonzero(change > self._level)) >= NUM_MOVED


class FreezeDetector:
    """Notices that a camera shows the same picture, bit by bit, for long: there is always noise in a picture that is alive."""

    def __init__(self, frozen_s: float) -> None:
        """Say so after `frozen_s` seconds; never where that is 0."""
        self._frozen_s = frozen_s
        self._print: int | None = None
        self._since = self._looked = 0.0
        self._is_frozen = False

    def looks(self, timestamp: float) -> bool:
        """Whether it wants the picture of this stream time: now and then; and each one of a frozen camera, to see the first that is not."""
        return self._frozen_s > 0 and (self._print is None or self._is_frozen or not 0 <= timestamp - self._looked < LOOK_S)

    def step(self, print_: int, timestamp: float) -> bool:
        """Take the fingerprint of the next picture that it looks at, and its stream time in seconds; returns whether the picture is frozen."""
        self._looked = timestamp
        if print_ != self._print or timestamp < self._since:
            self._print, self._since = print_, timestamp
        self._is_frozen = 0 < self._frozen_s <= timestamp - self._since
        return self._is_frozen
