"""The default recipe: a GRU over the features of a frozen backbone, and a dense layer behind it.

Training sees windows as they occur live: a zero state, then the last W ticks, or fewer after a start or a gap; the loss is on the last step alone, the
one that a prediction is made from. Features are brought to zero mean and unit variance and turned onto their principal components, which makes
training several times cheaper; both are linear, so that the exported head carries neither.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from streamvc.training.progress import Advance, silent

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before TensorFlow is loaded: its start-up talk is not for users
import keras  # noqa: E402
import tensorflow as tf  # noqa: E402

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Sequences = Sequence[Sequence[Floats]]  # per clip its stretches between gaps, each (T, D)
