"""What a bundle costs where it runs: parameters, bytes, time for a frame, memory.

    python -m streamvc.training.comparison.cost MODEL

prints how many MB more a process holds once it has loaded the bundle and made a prediction.
"""

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import count, cycle
from pathlib import Path

import numpy as np
import psutil
from numpy.typing import NDArray

from streamvc.errors import InferenceError
from streamvc.inference.backbone import Extractor
from streamvc.inference.bundle import Bundle, load_bundle
from streamvc.inference.recognizer import Recognizer
from streamvc.inference.runtime import RUNTIMES, installed_runtimes
from streamvc.types import Feature, Frame

Image = NDArray[np.uint8]

NUM_TIMED = 40  # features at least, of a head whose window is full
NUM_PERIODS = 5  # predictions at least, of a head that makes few
MB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class BackboneSize:
    """How large a backbone is: the numbers in it, of which those that inference folds together count once, and the bytes of its file."""

    num_parameters: int
    num_bytes: int


@dataclass(frozen=True, slots=True)
class Cost:
    """What a bundle costs.

    Attributes:
        head_bytes: Of its own models.
        backbone: Size of its backbone, which other bundles may share; None where it has none.
        extractor_ms: Median CPU time for a frame until its feature is there, on one thread; a feature of several frames counts in equal parts.
        head_ms: The same for what comes behind that, with the window full; a prediction made once in several frames counts in equal parts.
        memory_mb: Resident memory of a process that made a prediction, less that before it loaded the bundle.
    """

    head_bytes: int
    backbone: BackboneSize | None
    extractor_ms: float
    head_ms: float
    memory_mb: float


def measure_costs(bundles: Mapping[str, Bundle], images: Sequence[Image]) -> dict[str, Cost]:
    """Measure bundles side by side, on the same frames.

    Args:
        bundles: By name.
        images: At least one, (H, W, 3) uint8, BGR; shown again and again.

    Raises:
        StreamvcError: A bundle cannot be run.
    """
    times = _time(bundles, images)
    return {
        name: Cost(_head_bytes(bundle), _backbone_size(bundle), times[name].extractor_ms, times[name].head_ms, measure_memory_mb(bundle.path))
        for name, bundle in bundles.items()
    }


def num_parameters(model: bytes) -> int:
    """How many numbers a `.tflite` file holds, less those that are the graph's own: whole numbers, and single ones."""
    # Loaded here, as the package is a runtime among others.
    from ai_edge_litert import schema_py_generated as schema

    graph = schema.Model.GetRootAs(model)
    sizes: dict[int, int] = {}
    for number in range(graph.SubgraphsLength()):
        subgraph = graph.Subgraphs(number)
        for tensor in map(subgraph.Tensors, range(subgraph.TensorsLength())):
            buffer = graph.Buffers(tensor.Buffer())
            if tensor.Type() in _LEARNED and (buffer.DataLength() or buffer.Size()):
                sizes[tensor.Buffer()] = int(np.prod(tensor.ShapeAsNumpy()))
    return sum(size for size in sizes.values() if size > 1)


_LEARNED = {0, 1, 9}  # float32, float16 and int8, as the format numbers the types


def measure_memory_mb(bundle: Path) -> float:
    """Resident memory, in MB, that a bundle needs up to its first prediction, in a process of its own.

    Raises:
        InferenceError: It made none.
    """
    done = subprocess.run([sys.executable, "-m", __name__, str(bundle)], capture_output=True, text=True)
    if done.returncode:
        raise InferenceError(f"{bundle}: {(done.stderr.strip() or 'it was killed').splitlines()[-1]}")
    return float(done.stdout.split()[-1])


@dataclass(frozen=True, slots=True)
class _Times:
    extractor_ms: float
    head_ms: float


class _Stopwatch:
    """The durations of work that comes in equal periods."""

    def __init__(self, period: int, num_before: int) -> None:
        self._period = period
        self._num_before = num_before
        self._num_needed = num_before + max(NUM_TIMED, NUM_PERIODS * period)
        self._durations: list[float] = []

    def add(self, started: float) -> None:
        self._durations.append(time.process_time() - started)

    @property
    def is_done(self) -> bool:
        return len(self._durations) >= self._num_needed

    @property
    def median_ms(self) -> float:
        """The median over periods of the mean within one."""
        timed = self._durations[self._num_before : self._num_needed]
        whole = np.reshape(timed[: len(timed) // self._period * self._period], (-1, self._period))
        return float(np.median(whole.mean(axis=1))) * 1e3


class _TimedHead:
    """A head at work."""

    def __init__(self, bundle: Bundle) -> None:
        self._head = bundle.open_head()
        self._stride = bundle.manifest.stride
        self._num = 0
        self.stopwatch = _Stopwatch(self._stride, num_before=bundle.manifest.window)

    def step(self, feature: Feature) -> None:
        started = time.process_time()
        self._head.push(feature.values, feature.num_ticks)
        self._num += 1
        if self._num % self._stride == 0:
            self._head.scores()
        self.stopwatch.add(started)


def _time(bundles: Mapping[str, Bundle], images: Sequence[Image]) -> dict[str, _Times]:
    """One frame through each extractor, and its feature through each head that is made for it, and the next frame: disturbances hit all alike."""
    extractors: dict[str, Extractor] = {}
    heads: dict[str, dict[str, _TimedHead]] = {}
    for name, bundle in bundles.items():
        extractor = bundle.open_extractor()
        extractors.setdefault(extractor.identity, extractor)
        heads.setdefault(extractor.identity, {})[name] = _TimedHead(bundle)
    periods = {identity: _period(extractor, images) for identity, extractor in extractors.items()}
    stopwatches = {identity: _Stopwatch(period, num_before=period) for identity, period in periods.items()}
    for image in cycle(images):
        going = [identity for identity in extractors if not all(head.stopwatch.is_done for head in heads[identity].values())]
        if not going:
            break
        for identity in going:
            started = time.process_time()
            feature = extractors[identity].step(image)
            stopwatches[identity].add(started)
            if feature:
                for head in heads[identity].values():
                    head.step(feature)
    return {
        name: _Times(stopwatches[identity].median_ms, head.stopwatch.median_ms / periods[identity])
        for identity, group in heads.items()
        for name, head in group.items()
    }


def _period(extractor: Extractor, images: Sequence[Image]) -> int:
    """How many frames it makes one feature of."""
    number = next(number for number, image in zip(count(1), cycle(images)) if extractor.step(image))
    extractor.reset()
    return number


def _head_bytes(bundle: Bundle) -> int:
    return sum((bundle.path / name).stat().st_size for name in bundle.manifest.files if name.endswith(".tflite"))


def _backbone_size(bundle: Bundle) -> BackboneSize | None:
    models = [path.read_bytes() for folder in bundle.find_backbones() for path in sorted(folder.glob("*.tflite"))]
    return BackboneSize(sum(map(num_parameters, models)), sum(map(len, models))) if models else None


def _print_memory(name: str) -> None:
    import_module(RUNTIMES[installed_runtimes()[0]].edge)
    load_bundle(name)  # what is loaded to read manifests counts as little as the interpreter
    process = psutil.Process()
    before = process.memory_info().rss
    recognizer = Recognizer.load(name)
    next(prediction for frame in _blank_frames(recognizer.bundle.manifest.rate_hz) if (prediction := recognizer.step(frame)))
    print((process.memory_info().rss - before) / MB)


def _blank_frames(rate_hz: float) -> Iterator[Frame]:
    image = np.zeros((240, 320, 3), np.uint8)
    return (Frame(number, number / rate_hz, image) for number in count())


if __name__ == "__main__":
    _print_memory(sys.argv[1])
