"""Says what a whole clip shows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamvc.capture.source import open_source
from streamvc.errors import SourceError
from streamvc.events import ModelInfo
from streamvc.inference.recognizer import Recognizer
from streamvc.session import Session
from streamvc.types import Frame, Prediction


@dataclass(frozen=True, slots=True)
class Classification:
    """What a whole clip shows: all labels with their probabilities, best first, the mean over `num_predictions`."""

    ranking: tuple[tuple[str, float], ...]
    num_predictions: int


def classify(
    source: str | Path,
    model: str | Path | Recognizer = "exercise",
    view: Callable[[Frame, Classification], None] | None = None,
    *,
    runtime: str | None = None,
    threads: int = 1,
) -> Classification:
    """Say what a clip shows: the mean of the scores over all its predictions.

    Args:
        source: The clip.
        model: A bundle's name or folder, or a recogniser.
        view: Is shown each frame with what is known once it was seen; before the first prediction that is an empty ranking.
        runtime: `litert`, `tflite-runtime` or `tensorflow`; the first that is installed if None.
        threads: Threads of the runtime.

    Raises:
        SourceError: The clip cannot be read, or is too short for a single prediction, or has too few frames.
        StreamvcError: The model cannot be used.
    """
    recognizer = model if isinstance(model, Recognizer) else Recognizer.load(model, runtime=runtime, threads=threads)
    scores: list[NDArray[np.float32]] = []

    def trace(_model: ModelInfo, prediction: Prediction) -> None:
        scores.append(prediction.scores)

    session = Session(recognizer, update_s=0, trace=trace)
    with open_source(source, policy="every") as opened:
        for frame in opened:
            session.take(frame)
            if view:
                view(frame, _ranked(recognizer.labels, scores))
    if not scores:
        needs = session.shortage or f"too short, {recognizer.bundle.manifest.name} needs {recognizer.span_s:g} s of video for a prediction"
        raise SourceError(f"{opened.name}: {needs}")
    return _ranked(recognizer.labels, scores)


def _ranked(labels: Sequence[str], scores: Sequence[NDArray[np.float32]]) -> Classification:
    if not scores:
        return Classification((), 0)
    mean = np.stack(scores).mean(axis=0, dtype=np.float64)
    return Classification(tuple((labels[index], float(mean[index])) for index in mean.argsort(kind="stable")[::-1]), len(scores))
