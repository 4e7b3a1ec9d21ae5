"""The default recipe: a GRU over the features of a frozen backbone, and a dense layer behind it.

Training sees windows as they occur live: a zero state, then the last W ticks, or fewer after a start or a gap. The loss is on the last step alone,
the one that a prediction is made from (An et al., 2023: MiniROAD). The GRU is given what is seen and, apart from it, how much of it has changed since
the tick before: the size of a change tells movement from a scene, and a GRU does not find it by itself in a few hundred clips.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamvc.metrics import softmax
from streamvc.training.basis import Basis, fit_basis
from streamvc.training.plan import GruSettings
from streamvc.training.progress import Advance, silent
from streamvc.training.tensorflow import keras, tf
from streamvc.training.windows import Floats, Ints, Ticks, Windows, draw_windows, every_window, lay_out

BATCH = 64  # windows
PREDICTED_AT_ONCE = 2048  # windows
FINAL_RATE = 0.05  # of the learning rate, after the last epoch


@dataclass(frozen=True, slots=True)
class Epoch:
    """Mean loss after an epoch: of the windows learned from, and of the watched clips."""

    loss: float
    watched_loss: float


@dataclass(frozen=True, slots=True, eq=False)
class TrainedGru:
    """A trained head.

    Attributes:
        basis: From features to the GRU's inputs.
        gru: Weights of the GRU as Keras has them: kernel (K, 3H), recurrent kernel (H, 3H), biases (2, 3H).
        dense: Weights of the dense layer: kernel (H, L), bias (L,).
        history: One entry per epoch.
        best_epoch: The epoch whose weights these are, from 0.
    """

    basis: Basis
    gru: tuple[Floats, Floats, Floats]
    dense: tuple[Floats, Floats]
    history: tuple[Epoch, ...]
    best_epoch: int

    def keras_model(self) -> Any:
        """The head as one Keras model: features (B, T, D) to the logits at each tick (B, T, L)."""
        num_features, num_coordinates = self.basis.matrix.shape
        layers = [
            keras.layers.Dense(num_coordinates),
            Movement(self.basis.num_seen),
            keras.layers.GRU(len(self.gru[1]), return_sequences=True),
            keras.layers.Dense(len(self.dense[1])),
        ]
        model = keras.Sequential([keras.Input((None, num_features)), *layers])
        for layer, weights in zip(layers, ((self.basis.matrix, self.basis.offset), (), self.gru, self.dense), strict=True):
            layer.set_weights(weights)
        return model


class Movement(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """Puts the size of its change since the tick before in place of each coordinate behind the first `num_seen`."""

    def __init__(self, num_seen: int) -> None:
        super().__init__()
        self._num_seen = num_seen

    def call(self, coordinates: Any) -> Any:
        """(B, T, K) to (B, T, K)."""
        seen, moving = coordinates[..., : self._num_seen], coordinates[..., self._num_seen :]
        before = tf.concat([moving[:, :1], moving[:, :-1]], axis=1)
        return tf.concat([seen, tf.abs(moving - before)], axis=2)


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
    basis = fit_basis(learned, settings.num_seen, settings.num_moving)
    weights = class_weights(truth[~watched], num_labels)
    network = _Network(settings, basis, weights, num_steps=-(-len(truth[~watched]) * settings.windows_per_clip // BATCH))
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
    return TrainedGru(basis, *best, tuple(history), best_epoch)


def class_weights(truth: Ints, num_labels: int) -> Floats:
    """(L,) what a clip's loss counts for, so that all labels count alike in sum, and a clip is 1 on average; 0 for a label without clips."""
    counts = np.bincount(truth, minlength=num_labels)
    present = counts > 0
    weights = np.zeros(num_labels, np.float32)
    weights[present] = len(truth) / (present.sum() * counts[present])
    return weights


class _Side:
    """The clips on one side of the split, as the network is given them."""

    def __init__(self, ticks: Ticks, basis: Basis, truth: Ints) -> None:
        self.truth = truth
        self._inputs = basis.inputs(ticks)
        self._num_seen = basis.num_seen

    def batches(self, windows: Windows, size: int) -> Iterator[tuple[Floats, Ints, Ints]]:
        """Inputs (B, W, K), lengths (B,) and labels (B,)."""
        for start in range(0, len(windows.rows), size):
            part = slice(start, start + size)
            inputs = self._inputs[windows.rows[part]]
            inputs[:, 0, self._num_seen :] = 0  # before its first tick a window knows nothing
            yield inputs, windows.lengths[part], self.truth[windows.clips[part]]


class _Network:
    """The layers that are trained, on coordinates."""

    def __init__(self, settings: GruSettings, basis: Basis, weights: Floats, num_steps: int) -> None:
        self._gru = keras.layers.GRU(settings.num_units, return_sequences=True, unroll=True)
        self._dense = keras.layers.Dense(len(weights))
        self._hide_features = keras.layers.Dropout(settings.feature_dropout, noise_shape=(None, 1, None), seed=1)
        self._hide_state = keras.layers.Dropout(settings.state_dropout, seed=2)
        self._gru.build((None, settings.window, basis.matrix.shape[1]))
        self._dense.build((None, settings.num_units))
        self._variables = [*self._gru.trainable_variables, *self._dense.trainable_variables]
        self._class_weights = tf.constant(weights)
        self._smoothing = settings.label_smoothing
        rate = keras.optimizers.schedules.CosineDecay(settings.learning_rate, settings.max_epochs * num_steps, FINAL_RATE)
        self._optimizer = keras.optimizers.AdamW(rate, weight_decay=settings.weight_decay)
        self._optimizer.build(self._variables)
        # One trace of the graph for batches of any size: tracing an unrolled GRU takes longer than an epoch.
        inputs, lengths = tf.TensorSpec((None, settings.window, basis.matrix.shape[1]), tf.float32), tf.TensorSpec((None,), tf.int64)
        self._learn_batch = tf.function(self._descend, input_signature=[inputs, lengths, lengths], autograph=False)
        self._predict_batch = tf.function(self._logits, input_signature=[inputs, lengths], autograph=False)

    def learn(self, side: _Side, windows: Windows) -> float:
        """Learn from each window once; returns the mean loss."""
        losses = [float(self._learn_batch(x, lengths, truth)) for x, lengths, truth in side.batches(windows, BATCH)]
        return float(np.mean(losses))

    def loss(self, side: _Side, windows: Windows) -> float:
        """Mean over the clips of the mean log loss of their windows: a long clip counts no more than a short one."""
        logits = [self._predict_batch(x, lengths) for x, lengths, _ in side.batches(windows, PREDICTED_AT_ONCE)]
        scores = softmax(np.concatenate([batch.numpy() for batch in logits]))
        losses = -np.log(np.maximum(scores[np.arange(len(scores)), side.truth[windows.clips]], 1e-9))
        sums, counts = np.bincount(windows.clips, losses), np.bincount(windows.clips)
        return float((sums[counts > 0] / counts[counts > 0]).mean())

    def weights(self) -> tuple[tuple[Floats, Floats, Floats], tuple[Floats, Floats]]:
        """Copies of the weights of the two layers, as Keras has them."""
        return tuple(self._gru.get_weights()), tuple(self._dense.get_weights())

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
