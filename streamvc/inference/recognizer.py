"""Frames in, scores out: the sampler, the extractor and the head of one bundle, put together."""

import math
from collections import deque
from pathlib import Path
from typing import Self

import numpy as np

from streamvc.errors import InferenceError
from streamvc.inference.backbone import Extractor
from streamvc.inference.bundle import Bundle, load_bundle
from streamvc.inference.head import Head
from streamvc.inference.runtime import Opener
from streamvc.sampling import GAP_S, ROUNDING, Sample, Sampler
from streamvc.types import Feature, Frame, Prediction


class Recognizer:
    """Recognises activities in one stream; give it every frame.

        recognizer = Recognizer.load("exercise")
        for frame in source:
            if prediction := recognizer.step(frame):
                print(recognizer.labels[prediction.scores.argmax()])

    Attributes:
        bundle: What it was loaded from.
        labels: What the scores of a prediction are of, in their order.
        rate_hz: Frames/s that it looks at.
        sampler: Picks the frames that are due.
        extractor: Makes features of them.
        is_short: There are too few frames for a prediction, by the last window or as gaps follow each other. May be read by any thread.
    """

    def __init__(self, bundle: Bundle, extractor: Extractor, head: Head) -> None:
        manifest = bundle.manifest
        self.bundle = bundle
        self.labels = manifest.labels
        self.rate_hz = manifest.rate_hz
        self.sampler = Sampler(manifest.rate_hz)
        self.extractor = extractor
        self.is_short = False
        self._head = head
        self._window = manifest.window
        self._least_share = manifest.least_hz / manifest.rate_hz
        self._recent: deque[int] = deque()  # for how many ticks each feature of the last window stands
        self._predicted: float | None = None  # the time of the last prediction
        self._now = 0.0
        self._num_brief = 0  # stretches in a row that a gap ended before the first prediction
        self._stride = manifest.stride
        self._warm_up = manifest.warm_up
        self._num_ticks = 0  # features since the last gap, each counted for as many as it stands for

    @classmethod
    def load(cls, name_or_path: str | Path, *, runtime: str | None = None, threads: int = 1, opener: Opener | None = None) -> Self:
        """Load a bundle and its extractor.

        Args:
            name_or_path: A bundle's name or folder.
            runtime: For the backbone: `litert`, `tflite-runtime` or `tensorflow`; the first that is installed if not given.
            threads: Threads of the backbone's runtime.
            opener: Opens the files, for those who share them: `ModelCache.open`.

        Raises:
            BundleError: The bundle or its backbone is missing or damaged.
            InferenceError: The runtime is not installed or cannot run them.
        """
        bundle = load_bundle(name_or_path)
        # A GPU gains nothing on a head: a call of TensorFlow takes longer than the head's whole window on an edge runtime.
        head_runtime = None if runtime == "tensorflow" else runtime
        return cls(bundle, bundle.open_extractor(runtime, threads, opener=opener), bundle.open_head(head_runtime, opener=opener))

    @property
    def span_s(self) -> float:
        """Seconds of video up to the first prediction."""
        return self.bundle.manifest.first * self.extractor.num_frames / self.bundle.manifest.rate_hz

    def fresh(self) -> Self:
        """Another one with the same networks, which has seen nothing: for another person, where the bundle speaks of each."""
        return type(self)(self.bundle, self.extractor, self._head.fresh())

    def step(self, frame: Frame) -> Prediction | None:
        """Take the next frame of the stream; returns the scores where a prediction is due, None else and while warming up.

        Raises:
            InferenceError: The frame holds no image, what is made of it are not finite numbers, or the runtime failed. Or the bundle speaks of each
                person: a `streamvc.Session` keeps them apart.
        """
        sample = self.sampler.step(frame)
        return None if sample is None else self.observe(sample)

    def observe(self, sample: Sample) -> Prediction | None:
        """As `step`, for a frame that the sampler picked: for callers that ask `sampler` themselves, to see the gaps."""
        if sample.gap_s:
            self.forget()
        feature = self.extractor.step(sample.frame.image, sample.num_ticks)
        if feature is not None and feature.subjects is not None:
            raise InferenceError(f"model {self.bundle.manifest.name} speaks of each person, not of the picture: use a streamvc.Session")
        return None if feature is None else self.observe_feature(feature, sample.frame.index, sample.timestamp)

    def observe_feature(self, feature: Feature, index: int, timestamp: float) -> Prediction | None:
        """As `observe`, for a sample whose feature is known already. After a gap call `forget` first.

        Where the window holds fewer frames than the model needs (`BundleSettings.least_hz`), there is no prediction.

        Raises:
            InferenceError: The feature or the scores are not finite numbers, or the runtime failed.
        """
        if not np.isfinite(feature.values).all():  # a network may well make a score of that
            raise InferenceError(f"model {self.bundle.manifest.name}: what it sees in the picture is not finite numbers")
        self._head.push(feature.values, feature.num_ticks)
        before, self._now = self._num_ticks, timestamp
        self._num_ticks += feature.num_ticks
        self._recent.append(feature.num_ticks)
        while sum(self._recent) - self._recent[0] >= self._window:
            self._recent.popleft()
        due = self._num_ticks // self._stride > before // self._stride
        if self._num_ticks < self._warm_up:
            return None
        self.is_short = self._lacks_frames()
        if not due or self.is_short:
            return None
        self._predicted = timestamp
        return Prediction(index, timestamp, self._head.scores())

    def _lacks_frames(self) -> bool:
        """Whether the last window has fewer frames than at the lowest rate."""
        num, ticks = len(self._recent), sum(self._recent)
        if ticks == self._num_ticks:  # all since the last gap: how long the first has been coming is not known
            num, ticks = num - 1, ticks - 1
        return num < math.floor(self._least_share * min(ticks, self._window) + ROUNDING)

    @property
    def has_lapsed(self) -> bool:
        """There were predictions, and for longer than `GAP_S` now there are too few frames for another: what went on then may be over."""
        return self.is_short and self._predicted is not None and self._now - self._predicted > GAP_S

    def forget(self) -> None:
        """Forget what was seen, as after a gap. The sampler keeps its place in the stream."""
        if self._num_ticks:
            self._num_brief = self._num_brief + 1 if self._num_ticks < self._warm_up else 0
            self.is_short = self.is_short or self._num_brief > 1
        self.extractor.reset()
        self._head.reset()
        self._recent.clear()
        self._num_ticks = 0
        self._predicted = None

    def reset(self) -> None:
        """Forget the stream: the next frame is the first of a new one."""
        self.forget()
        self.is_short, self._num_brief = False, 0
        self.sampler.reset()
