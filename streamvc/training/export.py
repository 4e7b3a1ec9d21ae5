"""Compares an exported head with the network that it was made from."""

from collections.abc import Sequence

import numpy as np

from streamvc.errors import InferenceError
from streamvc.inference.bundle import Bundle
from streamvc.inference.head import Head
from streamvc.metrics import softmax
from streamvc.training.fit import SplitData, Trainer
from streamvc.training.inputs import Inputs
from streamvc.training.windows import Floats, build_table, select_windows
from streamvc.types import Array

TOLERANCE = 1e-4  # largest difference of a score


def check_export(trainer: Trainer, inputs: Inputs, bundle: Bundle, stretches: Sequence[Array]) -> float:
    """The largest difference between the scores of an exported head, run as it runs live, and those of Keras.

    Args:
        trainer: Has the network.
        inputs: What brings features to its inputs.
        bundle: What was made of both.
        stretches: Real features, each (T, D); the head is given the first W of each, fewer where there are fewer.

    Raises:
        InferenceError: It is above `TOLERANCE`.
    """
    manifest = bundle.manifest
    table = build_table([[stretch[: manifest.window]] for stretch in stretches])
    side = SplitData(table, np.zeros(len(stretches), np.int64), inputs, trainer.shape)
    logits = trainer.logits(side, select_windows(side.table, manifest.window, "first"))
    head = bundle.open_head()
    scores = np.stack([_scores(head, stretch[: manifest.window]) for stretch in stretches])
    largest = float(np.abs(scores - softmax(logits / manifest.temperature)).max())
    if not largest <= TOLERANCE:  # nor where it is no number
        raise InferenceError(f"the exported head's scores differ from Keras' by {largest:.2g}, more than {TOLERANCE:g}; the bundle was not written")
    return largest


def _scores(head: Head, window: Array) -> Floats:
    head.reset()
    for feature in window:
        head.push(feature)
    return head.scores()
