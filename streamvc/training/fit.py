"""Trains a network: the loop that all recipes share.

It stops when the validation loss gets no better, and keeps the weights of the best epoch. A checkpoint is written after each epoch with all that the
next one depends on, so that a training that was killed ends as it would have ended. A linear head needs no epochs: its weights are found exactly.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamvc.errors import DataError
from streamvc.metrics import softmax
from streamvc.training.checkpoint import Checkpoint
from streamvc.training.history import Epoch, TrainingHistory
from streamvc.training.inputs import Inputs, take_deltas
from streamvc.training.minimum import minimise
from streamvc.training.networks.gate import Standard
from streamvc.training.networks.network import Network
from streamvc.training.plan import HeadSettings
from streamvc.training.progress import Advance, silent
from streamvc.training.tensorflow import keras, tf
from streamvc.training.windows import FeatureTable, Floats, Ints, Windows, all_windows, sample_windows, select_windows
from streamvc.types import Array

Floats64 = NDArray[np.float64]

NUM_AT_ONCE = 1 << 22  # numbers that a network is given at a time for prediction
FINAL_RATE = 0.05  # of the learning rate, after the last epoch
MAX_STEPS = 100  # to the minimum of a linear head's loss; more bring nothing that shows
LEAST_DEVIATION = 0.01  # of what a linear layer is given; what differs less says nothing
USUAL_WIDTH = 100  # numbers given to a linear layer at which `l2` is the penalty on those weights that numbers of deviation 1 have


class SplitData:
    """The clips on one side of a split, training or validation, as a network is given them."""

    def __init__(self, table: FeatureTable, truth: Ints, inputs: Inputs, shape: tuple[int, ...]) -> None:
        """Bring features to inputs.

        Args:
            table: The features of N clips.
            truth: (N,) their labels.
            inputs: What brings features to inputs.
            shape: Of a window as the network is given it, (W, K) or (W, H, W', C).
        """
        self.table = table
        self.truth = truth
        self._num_seen = inputs.num_static
        self._table = inputs.apply(self.table.features)
        self._shape = shape[1:]

    def batches(self, windows: Windows, size: int) -> Iterator[tuple[Floats, Ints, Ints]]:
        """Inputs (B, W, ...), lengths (B,) and labels (B,)."""
        for start in range(0, len(windows.rows), size):
            part = slice(start, start + size)
            rows = take_deltas(self._table[windows.rows[part]].astype(np.float32, copy=False), self._num_seen)
            yield rows.reshape(*rows.shape[:2], *self._shape), windows.lengths[part], self.truth[windows.clips[part]]


class Trainer:
    """Trains one network again and again, each time from the same beginning: its graphs are traced once, which takes longer than many an epoch."""

    def __init__(self, network: Network, settings: HeadSettings, num_labels: int) -> None:
        self.network = network
        self._model = network.model
        self._settings = settings
        self._num_labels = num_labels
        self._class_weights = tf.Variable(np.ones(num_labels, np.float32), trainable=False)
        self._optimizer = keras.optimizers.AdamW(settings.learning_rate, weight_decay=settings.weight_decay)
        self._optimizer.build(self._model.trainable_variables)
        self._variables = [*self._model.variables, *self._optimizer.variables]
        self._beginning = _values(self._variables)
        self.shape = tuple(self._model.inputs[0].shape[1:])
        self._window = settings.training_window or settings.window
        if self.shape[0] not in (None, self._window):
            raise DataError(f"training_window ({self._window}): this recipe learns from windows as long as those it sees, of {self.shape[0]}")
        # One trace of each graph for batches of any size.
        x, lengths = tf.TensorSpec((None, *self.shape), tf.float32), tf.TensorSpec((None,), tf.int64)
        self._learn = tf.function(self._descend, input_signature=[x, lengths, lengths], autograph=False)
        self._infer = tf.function(lambda x, lengths: self._model([x, lengths], training=False), input_signature=[x, lengths], autograph=False)

    def fit(
        self, training: SplitData, validation: SplitData, *, seed: int, checkpoint: Checkpoint | None = None, advance: Advance = silent
    ) -> TrainingHistory:
        """Train until the validation loss gets no better; the network then has the weights of the best epoch.

        Args:
            training: The clips to learn from.
            validation: The clips that tell when to stop.
            seed: The same seed and data give the same weights.
            checkpoint: Where to go on from, and where to leave what is needed for that.
            advance: Is called with the progress.
        """
        settings = self._settings
        balanced = class_weights(training.truth, self._num_labels)
        self._class_weights.assign(balanced if settings.class_weights else np.ones_like(balanced))
        windows = self._validation_windows(validation)
        history, best = self._resume(checkpoint)
        while self._goes_on(history):
            number = len(history)
            loss = self._epoch(training, number, np.random.default_rng((seed, number)))
            history.append(Epoch(loss, *self._validate(validation, windows)))
            if not np.isfinite(history[-1].loss + history[-1].validation_loss):
                raise DataError(f"the loss is no number any more after epoch {number + 1}; choose a smaller learning_rate")
            if _best(history) == number:
                best = _values(self._model.variables)
            if checkpoint:
                checkpoint.save(self._kept(history, best))
            advance("epochs", number + 1, settings.max_epochs)
        _assign(self._model.variables, best)
        return TrainingHistory(tuple(history), _best(history))

    def solve(self, training: SplitData, background: int | None = None) -> TrainingHistory:
        """Find the weights of a network with one dense layer exactly: those of the lowest mean loss and penalty `l2` together.

        The windows are evenly spaced over each clip. All labels count alike in sum, but the background label `background_weight` times as much.
        What the layer is given is brought to one size first, so that the penalty holds for all of it alike.

        Args:
            training: The clips to learn from.
            background: Index of the background label, if there is one.
        """
        settings, model = self._settings, self._model
        layers = [layer for layer in model.layers if layer.trainable_variables]
        standard = [layer for layer in model.layers if isinstance(layer, Standard)]
        if len(layers) != 1 or len(standard) != 1 or settings.l2 is None:
            raise DataError("l2 is for recipes of one linear layer, such as linear; leave it out")
        windows = all_windows(training.table, self._window, min(settings.warm_up, self._window)).thinned(settings.windows_per_clip)
        before = keras.Model(model.inputs, standard[0].input)
        behind = tf.identity if layers[0] is model.layers[-1] else keras.Model(layers[0].output, model.output)
        given = self._predict(lambda x, lengths: before([x, lengths], training=False), training, windows)
        standard[0].fit(given.mean(axis=0), np.maximum(given.std(axis=0), LEAST_DEVIATION), np.sqrt(USUAL_WIDTH / given.shape[1]))
        given = standard[0](given).numpy()
        truth = training.truth[windows.clips]
        counts = class_weights(truth, self._num_labels)
        if background is not None:
            counts[background] *= settings.background_weight
        loss = _penalised_loss(behind, given, truth, counts[truth], self._num_labels, settings.l2)
        found, losses = minimise(loss, np.zeros((given.shape[1] + 1) * self._num_labels), max_steps=MAX_STEPS)
        weights = found.reshape(-1, self._num_labels)
        layers[0].set_weights([weights[:-1], weights[-1]])
        return TrainingHistory((), 0, num_steps=len(losses) - 1)

    def logits(self, side: SplitData, windows: Windows) -> Floats:
        """(N, L) logits of windows, with the weights as they are."""
        return self._predict(self._infer, side, windows)

    def _predict(self, network: Callable[[Any, Any], Any], side: SplitData, windows: Windows) -> Floats:
        """(N, ...) what a network makes of windows."""
        size = max(1, NUM_AT_ONCE // (windows.rows.shape[1] * int(np.prod(self.shape[1:]))))
        return np.concatenate([network(x, lengths).numpy() for x, lengths, _ in side.batches(self.fitting(windows), size)])

    def fitting(self, windows: Windows) -> Windows:
        """The windows as the network wants them: those of clips are always full."""
        return windows.filled() if self.network.form == "clip" else windows

    def _epoch(self, training: SplitData, number: int, rng: np.random.Generator) -> float:
        """Learn from each window once; returns the mean loss."""
        settings = self._settings
        windows = self.fitting(self._draw(training.table, rng))
        num_steps = -(-len(windows.rows) // settings.batch)
        losses = []
        for step, (x, lengths, truth) in enumerate(training.batches(windows, settings.batch)):
            done = (number + step / num_steps) / settings.max_epochs
            fall = FINAL_RATE + (1 - FINAL_RATE) * (1 + np.cos(np.pi * done)) / 2
            self._optimizer.learning_rate.assign(settings.learning_rate * fall)
            losses.append(float(self._learn(x, lengths, truth)))
        return float(np.mean(losses))

    def _draw(self, table: FeatureTable, rng: np.random.Generator) -> Windows:
        settings = self._settings
        if settings.take != "time":
            windows = select_windows(table, self._window, settings.take)
            order = rng.permutation(len(windows.rows))
            return Windows(windows.rows[order], windows.lengths[order], windows.clips[order])
        warm_up = min(settings.warm_up, self._window)
        varied, by_length = "speed" in settings.augment, settings.by_length
        return sample_windows(
            table, self._window, warm_up, settings.windows_per_clip, settings.partial, rng, varied_speed=varied, by_length=by_length
        )

    def _validation_windows(self, side: SplitData) -> Windows:
        settings = self._settings
        if settings.take != "time":
            return select_windows(side.table, self._window, settings.take)
        windows = all_windows(side.table, self._window, min(settings.warm_up, self._window))
        return windows.thinned(settings.validation_windows_per_clip) if settings.validation_windows_per_clip else windows

    def _validate(self, side: SplitData, windows: Windows) -> tuple[float, float]:
        """Mean over the clips of their windows' mean log loss, and of the share that is right: a long clip counts no more than a short one."""
        scores, truth = softmax(self.logits(side, windows)), side.truth[windows.clips]
        losses = -np.log(np.maximum(scores[np.arange(len(scores)), truth], 1e-9))
        counts = np.bincount(windows.clips)
        means = [np.bincount(windows.clips, each)[counts > 0] / counts[counts > 0] for each in (losses, scores.argmax(axis=1) == truth)]
        return float(means[0].mean()), float(means[1].mean())

    def _goes_on(self, history: Sequence[Epoch]) -> bool:
        settings = self._settings
        return not history or (len(history) < settings.max_epochs and len(history) - 1 - _best(history) < settings.patience)

    def _resume(self, checkpoint: Checkpoint | None) -> tuple[list[Epoch], list[Array]]:
        kept = checkpoint.load() if checkpoint else None
        if kept is None:
            _assign(self._variables, self._beginning)
            return [], _values(self._model.variables)
        if "variable_0" in kept:  # one that is over has no more need of them
            _assign(self._variables, [kept[f"variable_{number}"] for number in range(len(self._variables))])
        return [Epoch(*map(float, row)) for row in kept["history"]], [kept[f"best_{number}"] for number in range(len(self._model.variables))]

    def _kept(self, history: Sequence[Epoch], best: Sequence[Array]) -> dict[str, Array]:
        rows = np.array([(epoch.loss, epoch.validation_loss, epoch.validation_top1) for epoch in history])
        kept = {"history": rows, **{f"best_{number}": value for number, value in enumerate(best)}}
        if self._goes_on(history):
            kept |= {f"variable_{number}": value for number, value in enumerate(_values(self._variables))}
        return kept

    def _descend(self, x: Any, lengths: Any, truth: Any) -> Any:
        smoothing = self._settings.label_smoothing
        targets = tf.one_hot(truth, self._num_labels) * (1 - smoothing) + smoothing / self._num_labels
        with tf.GradientTape() as tape:
            losses = tf.nn.softmax_cross_entropy_with_logits(targets, self._model([x, lengths], training=True))
            loss = tf.reduce_mean(losses * tf.gather(self._class_weights, truth))
        variables = self._model.trainable_variables
        self._optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss


def _penalised_loss(
    behind: Any, given: Floats, truth: Ints, counts: Floats, num_labels: int, l2: float
) -> Callable[[Floats64], tuple[float, Floats64]]:
    """The weighted mean loss of a linear layer's weights, a flat (D + 1, L), the last row being the bias, and the penalty; with the gradient.

    Args:
        behind: What is behind the layer: its numbers (N, L) to logits (N, L).
        given: (N, D) what the layer is given.
        truth: (N,) the labels.
        counts: (N,) what each counts for.
        num_labels: L.
        l2: The penalty is half of it times the sum of the squared weights without the bias.
    """
    rows, shares = tf.constant(given, tf.float32), tf.constant(counts / counts.sum(), tf.float32)
    targets = tf.one_hot(truth, num_labels)

    @tf.function(input_signature=[tf.TensorSpec((given.shape[1] + 1, num_labels), tf.float32)], autograph=False)  # type: ignore[untyped-decorator]
    def descend(weights: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(weights)
            losses = tf.nn.softmax_cross_entropy_with_logits(targets, behind(rows @ weights[:-1] + weights[-1]))
            loss = tf.reduce_sum(losses * shares) + l2 / 2 * tf.reduce_sum(tf.square(weights[:-1]))
        return loss, tape.gradient(loss, weights)

    def function(flat: Floats64) -> tuple[float, Floats64]:
        loss, gradient = descend(tf.constant(flat.reshape(-1, num_labels), tf.float32))
        return float(loss), gradient.numpy().astype(np.float64).ravel()

    return function


def class_weights(truth: Ints, num_labels: int) -> Floats:
    """(L,) what a clip's loss counts for, so that all labels count alike in sum, and a clip is 1 on average; 0 for a label without clips."""
    counts = np.bincount(truth, minlength=num_labels)
    present = counts > 0
    weights = np.zeros(num_labels, np.float32)
    weights[present] = len(truth) / (present.sum() * counts[present])
    return weights


def _best(history: Sequence[Epoch]) -> int:
    return int(np.argmin([epoch.validation_loss for epoch in history]))


def _values(variables: Sequence[Any]) -> list[Array]:
    return [variable.numpy().copy() for variable in variables]


def _assign(variables: Sequence[Any], values: Sequence[Array]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
