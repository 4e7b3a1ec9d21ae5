"""Handcrafted features of optical flow: speed, acceleration, direction. They tell a fight from a crowd, which single pictures hardly do."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

SHORT_PX = 96  # shorter side of the picture in which movement is measured
LONG_PX = 8 * SHORT_PX  # longer side of it at most: what is thinner is squeezed
STEP_PX = 4  # DIS in its fast setting finds the flow at every fourth pixel, and fills in what lies between
SHARES = np.array([0.5, 0.75, 0.9, 0.95, 0.98, 0.995])  # of all values, those that are no larger than a percentile
SQUARE = 0.4  # side of the busiest square, by the shorter side of the frame
HEAT_TICKS = 4.0  # time constant of where it moves: 0.4 s at 10 Hz
NUM_WAYS = 8  # directions that are told apart
NUM_BANDS = 3  # of the busiest square, from top to bottom
STILL = 0.1  # pixels per tick that are next to nothing: keeps ratios small where nothing moves

NUM_SPREAD = len(SHARES) + 2
FEATURE_SIZE = (3 * NUM_SPREAD + 2) + (2 * NUM_SPREAD + 7) + (NUM_WAYS + 1) + 3 * (1 + NUM_BANDS)
VERSION = 2  # raise it when the same frames make other numbers
IDENTITY = f"flow {VERSION} {SHORT_PX} {SHARES.tolist()} {SQUARE} {HEAT_TICKS} {NUM_WAYS} {NUM_BANDS}"


class FlowFeatures:
    """Turns the frames of one stream into `FEATURE_SIZE` numbers each, of the optical flow since the frame before.

    The camera's own movement, the median of the flow, is taken out. Speeds and accelerations, in 1/96 of the frame's shorter side, and changes of
    brightness are per tick, so that they mean the same where frames are missing. They stand there, as all that has no upper limit, as log(1 + x).

    - Of the frame: percentiles, mean and deviation of speed, acceleration and change of brightness; the camera's speed; acceleration by speed.
    - Of the busiest square, which follows where it moves: percentiles, mean and deviation of the speed that is left without the mean movement, and of
      acceleration; its speed; acceleration by speed; how much it grows or shrinks, turns and shears; and how much of its movement goes one way.
    - Shares of the movement in the square by direction, the largest first, and their entropy.
    - How much moves across and how much up or down, and how much more down than up, in the square and in each of its bands.
    - The square's share of all movement.

    All are 0 where there is no frame before.
    """

    def __init__(self) -> None:
        # Kroeger et al., 2016; the only flow of OpenCV that is quick enough to run live.
        self._method = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._before: NDArray[np.uint8] | None = None
        self._flow: Floats | None = None
        self._num_ticks = 1  # that it was measured over
        self._heat: Floats | None = None

    def step(self, image: NDArray[np.uint8], num_ticks: int = 1) -> Floats:
        """(FEATURE_SIZE,) float32 of the next frame, (H, W, 3) uint8 BGR of the size of the one before, so many ticks behind it."""
        grey, before = _small(image), self._before
        self._before = grey
        if before is None:
            return np.zeros(FEATURE_SIZE, np.float32)
        ticks = np.float32(num_ticks)
        flow = self._method.calc(before, grey, None)[STEP_PX // 2 :: STEP_PX, STEP_PX // 2 :: STEP_PX] / ticks
        camera = np.median(flow, axis=(0, 1))
        flow -= camera
        between = np.float32((num_ticks + self._num_ticks) / 2)  # the middles of the spans that the two flows were measured over
        change = np.zeros_like(flow) if self._flow is None else (flow - self._flow) / between
        self._flow, self._num_ticks = flow, num_ticks
        speed, acceleration = _lengths(flow), _lengths(change)
        spreads = [_spread(values) for values in (speed, acceleration, cv2.absdiff(grey, before).astype(np.float32) / ticks)]
        frame = np.log1p(np.concatenate([*spreads, [math.hypot(*camera), _ratio(acceleration, speed)]]))
        square = self._busiest(speed, num_ticks)
        share = speed[square].sum() / (speed.sum() + STILL)
        return np.concatenate([frame, _inside(flow[square], speed[square], acceleration[square]), [share]], dtype=np.float32)

    def reset(self) -> None:
        """Forget the stream, as after a gap."""
        self._before = self._flow = self._heat = None
        self._num_ticks = 1

    def _busiest(self, speed: Floats, num_ticks: int) -> tuple[slice, slice]:
        """The square, in places of the flow, in which it moved most of late."""
        before = speed if self._heat is None else self._heat
        self._heat = before + np.float32(-math.expm1(-num_ticks / HEAT_TICKS)) * (speed - before)
        side = max(2, round(SQUARE * min(speed.shape)))
        sums = cv2.boxFilter(self._heat, -1, (side, side), anchor=(0, 0), normalize=False, borderType=cv2.BORDER_CONSTANT)
        whole = sums[: speed.shape[0] - side + 1, : speed.shape[1] - side + 1]
        top, left = map(int, np.unravel_index(int(whole.argmax()), whole.shape))
        return slice(top, top + side), slice(left, left + side)


def _small(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    scale = SHORT_PX / min(image.shape[:2])
    height, width = (min(round(side * scale), LONG_PX) for side in image.shape[:2])
    double = cv2.resize(image, (2 * width, 2 * height), interpolation=cv2.INTER_LINEAR)  # to average all of a large frame takes longer
    small: NDArray[np.uint8] = cv2.cvtColor(cv2.resize(double, (width, height), interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)
    return small


def _inside(flow: Floats, speed: Floats, acceleration: Floats) -> Floats:
    """The numbers of the busiest square, of which these are the vectors (S, S, 2) and their lengths."""
    mean = flow.mean(axis=(0, 1))
    across, down = np.diff(flow, axis=1)[:-1], np.diff(flow, axis=0)[:, :-1]
    deformed = [across[..., 0] + down[..., 1], across[..., 1] - down[..., 0], across[..., 0] - down[..., 1]]
    sizes = [_mean(speed), _ratio(acceleration, speed), *(_mean(np.abs(each)) for each in deformed)]
    spreads = np.log1p(np.concatenate([_spread(_lengths(flow - mean)), _spread(acceleration), sizes]))
    one_way = math.hypot(*mean) / (float(_mean(speed)) + STILL)
    bands = [_directions(band) for band in (flow, *np.array_split(flow, NUM_BANDS))]
    return np.concatenate([spreads, [one_way], _ways(flow, speed), *bands], dtype=np.float32)


def _lengths(vectors: Floats) -> Floats:
    lengths: Floats = np.hypot(vectors[..., 0], vectors[..., 1])
    return lengths


def _spread(values: Floats) -> Floats:
    """Percentiles (without what lies between two values, which would take ten times as long), mean and standard deviation."""
    ordered = np.sort(values, axis=None)
    percentiles: Floats = ordered[(SHARES * (len(ordered) - 1)).astype(int)]
    mean = _mean(values)
    return np.append(percentiles, [mean, np.sqrt(_mean(np.square(values - mean)))])


def _mean(values: Floats) -> np.float32:
    """To the last digit what NumPy's own says, in half the time: that goes through Python."""
    mean: np.float32 = np.add.reduce(values, axis=None) / values.size
    return mean


def _ratio(acceleration: Floats, speed: Floats) -> float:
    return float(_mean(acceleration)) / (float(_mean(speed)) + STILL)


def _ways(flow: Floats, speed: Floats) -> Floats:
    """Shares of the movement by direction, the largest first, and their entropy."""
    turned = np.arctan2(flow[..., 1], flow[..., 0]) * (NUM_WAYS / (2 * math.pi)) + NUM_WAYS
    sums = np.bincount(turned.astype(int).ravel() % NUM_WAYS, speed.ravel(), NUM_WAYS)
    shares = np.sort(sums / (sums.sum() + STILL))[::-1]
    entropy = -(shares * np.log(np.maximum(shares, 1e-6))).sum()
    return np.append(shares, entropy).astype(np.float32)


def _directions(flow: Floats) -> Floats:
    """How much moves across, how much up or down, and how much more down than up."""
    across, down = flow[..., 0], flow[..., 1]
    drop = float(_mean(down))
    return np.array([np.log1p(_mean(np.abs(across))), np.log1p(_mean(np.abs(down))), math.copysign(math.log1p(abs(drop)), drop)], np.float32)
