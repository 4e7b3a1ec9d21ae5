"""Networks of Keras Applications as backbones. Keras never fetches weights here: they are read from a file that was found before."""

from typing import Any

from streamvc.errors import DataError
from streamvc.training.backbones.weights import Weights
from streamvc.training.tensorflow import keras

CAFFE_MEAN = (103.939, 116.779, 123.68)  # blue, green, red of ImageNet, as VGG16 was trained with


def mobilenetv2(shape: tuple[int, ...], weights: Weights) -> Any:
    """(B, S, S, 3) to (B, 1280)."""
    return _loaded(keras.applications.MobileNetV2(shape, include_top=False, weights=None, pooling="avg"), weights)


def mobilenetv3_small(shape: tuple[int, ...], weights: Weights) -> Any:
    """(B, S, S, 3) to (B, 576)."""
    return _loaded(keras.applications.MobileNetV3Small(shape, include_top=False, weights=None, pooling="avg", include_preprocessing=False), weights)


def mobilenetv3_large(shape: tuple[int, ...], weights: Weights) -> Any:
    """(B, S, S, 3) to (B, 960)."""
    return _loaded(keras.applications.MobileNetV3Large(shape, include_top=False, weights=None, pooling="avg", include_preprocessing=False), weights)


def inceptionv3(shape: tuple[int, ...], weights: Weights) -> Any:
    """(B, S, S, 3) to (B, 2048)."""
    return _loaded(keras.applications.InceptionV3(input_shape=shape, include_top=False, weights=None, pooling="avg"), weights)


def vgg16_fc2(shape: tuple[int, ...], weights: Weights) -> Any:
    """(B, 224, 224, 3), blue first, 0 to 255, to (B, 4096), the second of the dense layers."""
    whole = _loaded(keras.applications.VGG16(input_shape=shape, weights=None), weights)
    return _centred(keras.Model(whole.input, whole.get_layer("fc2").output), shape)


def vgg16_map(shape: tuple[int, ...], weights: Weights) -> Any:
    """(B, S, S, 3), blue first, 0 to 255, to (B, S / 32, S / 32, 512), what stands before the dense layers."""
    return _centred(_loaded(keras.applications.VGG16(input_shape=shape, include_top=False, weights=None), weights), shape)


def _centred(network: Any, shape: tuple[int, ...]) -> Any:
    image = keras.Input(shape)
    x = keras.layers.Rescaling(1.0, offset=[-mean for mean in CAFFE_MEAN])(image)
    for layer in network.layers[1:]:  # a plain chain: one graph without a network inside
        x = layer(x)
    return keras.Model(image, x)


def _loaded(network: Any, weights: Weights) -> Any:
    """Read a file of weights: `.h5` as Keras Applications come in, `.weights.h5` or `.keras`."""
    if weights.path is None:
        return network
    try:
        network.load_weights(weights.path)
    except (OSError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"{weights.path}: not weights for {network.name} without its classifier ({reason})") from error
    return network
