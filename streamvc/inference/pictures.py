"""Pictures as features, for heads that are given the frames themselves: colours, optical flow, or both."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from streamvc.inference.manifest import Crop, ImageInput, PictureKind
from streamvc.inference.preprocessing import Preprocessor
from streamvc.inference.runtime import TensorSpec
from streamvc.types import Feature

NUM_CHANNELS: dict[PictureKind, int] = {"colour": 3, "flow": 2, "colour+flow": 5}
FLOW_LIMIT_PX = 20  # faster motion is cut off there, as in Carreira and Zisserman, 2017
STILL = 127.5


class PictureExtractor:
    """Brings frames to one size and keeps them as they are; it belongs to one thread at a time.

    A picture has (S, S, C) uint8: red, green and blue, then the flow to the right and downwards since the picture before, of which 0 stands for
    -20 pixels of the small picture in one tick, 255 for +20. Where frames are missing it is spread evenly over their ticks. The first picture of a
    stream, and the first after a gap, has no motion.
    """

    def __init__(self, kind: PictureKind, size_px: int, crop: Crop = "whole") -> None:
        self.kind = kind
        self.input = picture_input(size_px, crop)
        self.shape = picture_shape(kind, size_px)
        self._preprocessor = Preprocessor(self.input, TensorSpec((1, size_px, size_px, 3), np.dtype(np.uint8)))
        # DIS (Kroeger et al., 2016) in its fast setting: 0.3 ms for 112 px, and the only flow of OpenCV that is quick enough to run live.
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST) if kind != "colour" else None
        self._before: NDArray[np.uint8] | None = None

    @property
    def feature_size(self) -> int:
        """D: how many numbers a picture has."""
        return int(np.prod(self.shape))

    @property
    def part_sizes(self) -> tuple[int, ...]:
        """(D,)."""
        return (self.feature_size,)

    @property
    def feature_map(self) -> tuple[int, int, int]:
        """(S, S, C)."""
        return self.shape

    @property
    def num_frames(self) -> int:
        """1: each frame is a feature."""
        return 1

    @property
    def identity(self) -> str:
        """What says whether two of them give the same pictures."""
        return f"pictures {self.kind} {self.input.model_dump_json()}"

    @property
    def focus(self) -> None:
        """None: it looks at all of a frame."""
        return

    def step(self, image: NDArray[np.uint8], num_ticks: int = 1) -> Feature:
        """The picture of a frame, (H, W, 3) uint8 BGR of any size, as a feature.

        Raises:
            InferenceError: That is not an image.
        """
        colours = np.empty((*self.shape[:2], 3), np.uint8)
        self._preprocessor.write(image, colours)
        if self._flow is None:
            return Feature(colours.reshape(-1), num_ticks)
        picture = np.empty(self.shape, np.uint8)
        picture[..., -2:] = self._motion(self._flow, cv2.cvtColor(colours, cv2.COLOR_RGB2GRAY), num_ticks)
        if self.kind != "flow":
            picture[..., :3] = colours
        return Feature(picture.reshape(-1), num_ticks)

    def reset(self) -> None:
        """Forget the picture before."""
        self._before = None

    def _motion(self, method: Any, grey: NDArray[np.uint8], num_ticks: int) -> NDArray[np.float32]:
        before, self._before = self._before, grey
        if before is None:
            return np.full((*grey.shape, 2), np.rint(STILL), np.float32)
        flow = method.calc(before, grey, None) / num_ticks
        motion: NDArray[np.float32] = np.rint(np.clip(flow / FLOW_LIMIT_PX, -1, 1) * STILL + STILL)
        return motion


def picture_shape(kind: PictureKind, size_px: int) -> tuple[int, int, int]:
    """(S, S, C)."""
    return size_px, size_px, NUM_CHANNELS[kind]


def picture_input(size_px: int, crop: Crop = "whole") -> ImageInput:
    """How frames are brought to pictures: red, green, blue, 0 to 255."""
    return ImageInput(size_px=size_px, crop=crop, resize="linear", colour="rgb", mean=0.0, scale=1.0)
