"""Reads the published weights of I3D: TensorFlow 1 checkpoints, `model.ckpt.index` and `model.ckpt.data-...`.

Their variables are called `RGB/inception_i3d/Conv3d_1a_7x7/conv_3d/w`, `.../batch_norm/beta`, `moving_mean` and `moving_variance`, with `Flow` for
`RGB` in the networks for optical flow, and without both scopes in the one trained on Kinetics-600; the classifier is `Logits/Conv3d_0c_1x1/conv_3d`
with `w` and `b` (github.com/deepmind/kinetics-i3d). Variables of an optimizer may lie beside them.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamvc.errors import DataError
from streamvc.training.tensorflow import keras, tf

SCOPES = {3: "RGB/inception_i3d/", 2: "Flow/inception_i3d/"}  # by channels
CLASSIFIER = "Logits/Conv3d_0c_1x1/"


def variable_names(model: Any) -> dict[str, Any]:
    """The variables of an I3D by the name that they have in the published checkpoints."""
    scope = SCOPES[model.input_shape[-1]]
    return {f"{scope}{layer.name.replace('.', '/')}/{name}": variable for layer in model.layers for name, variable in _variables(layer).items()}


def load_checkpoint(model: Any, prefix: Path) -> None:
    """Put published weights into a network made by `streamvc.training.networks.i3d.i3d`.

    The classifier keeps its random weights where the checkpoint's is for another number of labels. Nothing is changed unless all fits.

    Args:
        model: The network.
        prefix: The checkpoint's path without `.index`.

    Raises:
        DataError: There is no such checkpoint, or it is not one of this network.
    """
    stored = _read(prefix)
    names = variable_names(model)
    scope = SCOPES[model.input_shape[-1]]
    if not any(name.startswith(scope) for name in stored):
        stored = {scope + name: values for name, values in stored.items()}
    chosen: list[tuple[Any, NDArray[np.float32]]] = []
    for name, variable in names.items():
        if name not in stored:
            raise DataError(f"{prefix}: has no variable {name}: not a checkpoint of I3D for {model.input_shape[-1]} channels")
        values = stored[name]
        if _size(values.shape) == _size(variable.shape):
            chosen.append((variable, values.reshape(variable.shape)))
        elif not name.startswith(scope + CLASSIFIER):
            raise DataError(f"{prefix}: {name} has the shape {values.shape}, but the network's has {tuple(variable.shape)}")
    for variable, values in chosen:
        variable.assign(values)


def _variables(layer: Any) -> dict[str, Any]:
    match layer:
        case keras.layers.Conv3D():
            return {"w": layer.kernel, "b": layer.bias} if layer.use_bias else {"w": layer.kernel}
        case keras.layers.BatchNormalization():
            return {"beta": layer.beta, "moving_mean": layer.moving_mean, "moving_variance": layer.moving_variance}
    return {}


def _read(prefix: Path) -> dict[str, NDArray[np.float32]]:
    try:
        reader = tf.train.load_checkpoint(str(prefix))
        return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
    except (tf.errors.OpError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{prefix}: not a TensorFlow checkpoint; name it without .index or .data-00000-of-00001 ({reason})") from error


def _size(shape: Any) -> tuple[int, ...]:
    """A shape without its ones in front: the published normalisations are (1, 1, 1, 1, C)."""
    sizes = tuple(int(size) for size in shape)
    return sizes[next((index for index, size in enumerate(sizes) if size != 1), len(sizes)) :]
