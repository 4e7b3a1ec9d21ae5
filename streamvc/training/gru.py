"""The default recipe: a GRU over the features of a frozen backbone, and a dense layer behind it.

Training sees windows as they occur live: a zero state, then the last W ticks, or fewer after a start or a gap. The loss is on the last step alone,
the one that a prediction is made from (An et al., 2023: MiniROAD).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from streamvc.metrics import softmax
from streamvc.training.basis import Basis, fit_basis
from streamvc.training.progress import Advance, silent
from streamvc.training.tensorflow import keras, tf
from streamvc.training.windows import Floats, Ints, Ticks, Windows, draw_windows, every_window, lay_out

BATCH = 64  # windows
PREDICTED_AT_ONCE = 2048  # windows
FINAL_RATE = 0.05  # of the learning rate, after the last epoch


@dataclass(frozen=True, slots=True)
class GruSettings:
    """How a GRU head is built and trained.

    Attributes:
        window: W, ticks that it looks at.
        warm_up: Ticks before the first prediction.
        mode: `window` or `stateful`; see `streamvc.inference.head.Head`.
        num_units: Size of the GRU's state.
        num_components: How many principal components of the features it learns from.
        feature_dropout: Share of the components that are hidden from a window, from all its ticks alike.
        state_dropout: Share of the state that is hidden from the dense layer.
        label_smoothing: Share of the target that is spread over all labels.
        learning_rate: At the start; it falls by half a cosine.
        weight_decay: Of AdamW.
        windows_per_clip: How many windows of each clip are drawn per epoch.
        partial: Share of the windows that are cut to a random length.
        max_epochs: When to stop at the latest.
        patience: Stop after so many epochs without a lower loss on the clips that training is watched by.
    """

    window: int = 16
    warm_up: int = 5
    mode: Literal["window", "stateful"] = "window"
    num_units: int = 48
    num_components: int = 256
    feature_dropout: float = 0.5
    state_dropout: float = 0.5
    label_smoothing: float = 0.05
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    windows_per_clip: int = 4
    partial: float = 0.2
    max_epochs: int = 40
    patience: int = 8


@dataclass(frozen=True, slots=True)
class Epoch:
    """Mean loss after an epoch: of the windows learned from, and of the watched clips."""

    loss: float
    watched_loss: float


@dataclass(frozen=True, slots=True, eq=False)
class TrainedGru:
    """A trained head.

    Attributes:
        model: Keras model: features (B, T, D) to the logits at each tick (B, T, L).
        history: One entry per epoch.
        best_epoch: The epoch whose weights were kept, from 0.
    """

    model: Any
    history: tuple[Epoch, ...]
    best_epoch: int


def train_gru(
    segments: Sequence[Sequence[Floats]],
    truth: Ints,
    num_labels: int,
    watched: NDArray[np.bool_],
    settings: GruSettings,
    *,
    seed: int,
    advance: Advance = silent,
) -> TrainedGru:
    """Train a head until it gets no better on watched clips.

    Args:
        segments: Of each of N clips its stretches between gaps, each (T, D).
        truth: (N,) the label of each clip.
        num_labels: L.
        watched: (N,) True for clips that are not learned from, but tell when to stop.
        settings: How.
        seed: The same seed and data give the same head.
        advance: Is told of the progress.
    """
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    learned, shown = (lay_out(list(compress(segments, chosen))) for chosen in (~watched, watched))
    basis = fit_basis(learned.features, settings.num_components)
    weights = class_weights(truth[~watched], num_labels)
    network = _Network(settings, basis.matrix.shape[1], weights, num_steps=-(-len(truth[~watched]) * settings.windows_per_clip // BATCH))
    student = _Side(learned, basis, truth[~watched])
    watcher = _Side(shown, basis, truth[watched])
    watched_windows = every_window(shown, settings.window, settings.warm_up)
    history: list[Epoch] = []
    best = network.weights()
    for number in range(settings.max_epochs):
        windows = draw_windows(learned, settings.window, settings.warm_up, settings.windows_per_clip, settings.partial, rng)
        loss = network.learn(student, windows)
        history.append(Epoch(loss, network.loss(watcher, watched_windows)))
        advance("training", number + 1, settings.max_epochs)
        best_epoch = int(np.argmin([epoch.watched_loss for epoch in history]))
        if best_epoch == number:
            best = network.weights()
        elif number - best_epoch >= settings.patience:
            advance("training", settings.max_epochs, settings.max_epochs)
            break
    return TrainedGru(_keras_model(basis, best), tuple(history), best_epoch)


def class_weights(truth: Ints, num_labels: int) -> Floats:
    """(L,) what a clip's loss counts for, so that all labels count alike in sum, and a clip is 1 on average; 0 for a label without clips."""
    counts = np.bincount(truth, minlength=num_labels)
    present = counts > 0
    weights = np.zeros(num_labels, np.float32)
    weights[present] = len(truth) / (present.sum() * counts[present])
    return weights


class _Side:
    """Clips in coordinates, on one side of the split."""

    def __init__(self, ticks: Ticks, basis: Basis, truth: Ints) -> None:
        self.coordinates = basis.coordinates(ticks.features)
        self.truth = truth


class _Network:
    """The layers that are trained, on coordinates."""

    def __init__(self, settings: GruSettings, num_components: int, weights: Floats, num_steps: int) -> None:
        self._gru = keras.layers.GRU(settings.num_units, return_sequences=True, unroll=True)
        self._dense = keras.layers.Dense(len(weights))
        self._hide_features = keras.layers.Dropout(settings.feature_dropout, noise_shape=(None, 1, None), seed=1)
        self._hide_state = keras.layers.Dropout(settings.state_dropout, seed=2)
        self._gru.build((None, settings.window, num_components))
        self._dense.build((None, settings.num_units))
        self._variables = [*self._gru.trainable_variables, *self._dense.trainable_variables]
        self._class_weights = tf.constant(weights)
        self._smoothing = settings.label_smoothing
        rate = keras.optimizers.schedules.CosineDecay(settings.learning_rate, settings.max_epochs * num_steps, FINAL_RATE)
        self._optimizer = keras.optimizers.AdamW(rate, weight_decay=settings.weight_decay)
        self._optimizer.build(self._variables)
        self._learn_batch = tf.function(self._descend, reduce_retracing=True)
        self._predict_batch = tf.function(self._logits, reduce_retracing=True)

    def learn(self, side: _Side, windows: Windows) -> float:
        """Learn from each window once; returns the mean loss."""
        losses = [
            float(self._learn_batch(tf.constant(x), tf.constant(lengths), tf.constant(truth))) for x, lengths, truth in _batches(side, windows, BATCH)
        ]
        return float(np.mean(losses))

    def loss(self, side: _Side, windows: Windows) -> float:
        """Mean over the clips of the mean log loss of their windows: a long clip counts no more than a short one."""
        logits = [self._predict_batch(tf.constant(x), tf.constant(lengths)) for x, lengths, _ in _batches(side, windows, PREDICTED_AT_ONCE)]
        scores = softmax(np.concatenate([batch.numpy() for batch in logits]))
        losses = -np.log(np.maximum(scores[np.arange(len(scores)), side.truth[windows.clips]], 1e-9))
        sums, counts = np.bincount(windows.clips, losses), np.bincount(windows.clips)
        return float((sums[counts > 0] / counts[counts > 0]).mean())

    def weights(self) -> list[list[Floats]]:
        """Copies of the weights of the two layers, as Keras has them."""
        return [layer.get_weights() for layer in (self._gru, self._dense)]

    def _logits(self, x: Any, lengths: Any, training: bool = False) -> Any:
        states = self._gru(self._hide_features(x, training=training))
        # Ticks behind the last one of a short window change nothing at that one: no mask is needed.
        last = tf.gather(states, lengths - 1, batch_dims=1)
        return self._dense(self._hide_state(last, training=training))

    def _descend(self, x: Any, lengths: Any, truth: Any) -> Any:
        num_labels = len(self._class_weights)
        targets = tf.one_hot(truth, num_labels) * (1 - self._smoothing) + self._smoothing / num_labels
        with tf.GradientTape() as tape:
            losses = tf.nn.softmax_cross_entropy_with_logits(targets, self._logits(x, lengths, training=True))
            loss = tf.reduce_mean(losses * tf.gather(self._class_weights, truth))
        self._optimizer.apply_gradients(zip(tape.gradient(loss, self._variables), self._variables, strict=True))
        return loss


def _batches(side: _Side, windows: Windows, size: int) -> list[tuple[Floats, Ints, Ints]]:
    """Coordinates (B, W, K), lengths (B,) and labels (B,)."""
    parts = range(0, len(windows.rows), size)
    return [
        (side.coordinates[windows.rows[part : part + size]], windows.lengths[part : part + size], side.truth[windows.clips[part : part + size]])
        for part in parts
    ]


def _keras_model(basis: Basis, weights: list[list[Floats]]) -> Any:
    (gru_weights, dense_weights) = weights
    num_features, num_components = basis.matrix.shape
    layers = [
        (keras.layers.Dense(num_components), [basis.matrix, basis.offset]),
        (keras.layers.GRU(len(gru_weights[1]), return_sequences=True), gru_weights),
        (keras.layers.Dense(len(dense_weights[1])), dense_weights),
    ]
    model = keras.Sequential([keras.Input((None, num_features)), *(layer for layer, _ in layers)])
    for layer, values in layers:
        layer.set_weights(values)
    return model
