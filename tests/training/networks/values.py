"""Weights as a training leaves them, for networks that were never trained."""

from typing import Any

import numpy as np

from streamvc.training.tensorflow import keras


def randomise(model: Any, seed: int = 0) -> None:
    """Give all biases and normalisations values other than 0 and 1, which would hide mistakes."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        if hasattr(layer, "network"):
            randomise(layer.network, seed)
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.moving_variance.assign(rng.uniform(0.5, 2, layer.moving_variance.shape))
            layer.moving_mean.assign(rng.normal(scale=0.2, size=layer.moving_mean.shape))
            layer.beta.assign(rng.normal(scale=0.2, size=layer.beta.shape))
        elif getattr(layer, "bias", None) is not None:
            layer.bias.assign(rng.normal(scale=0.2, size=layer.bias.shape))
