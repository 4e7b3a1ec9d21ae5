"""The recogniser as notebooks write it, for comparison: for each prediction, `keras.predict` on every frame of the window, then on its features.

    python -m streamvc.training.notebook MODEL NUM_PREDICTIONS

prints the median CPU time of one prediction in milliseconds. The weights of the head are random: only its cost is of interest.
"""

import sys
import time
from statistics import median

import keras
import numpy as np

from streamvc.inference.bundle import Bundle, load_bundle
from streamvc.inference.tensorflow import open_model


def keras_backbone(bundle: Bundle) -> keras.Model:
    """The bundle's backbone as a Keras model: (1, S, S, 3) -> (1, D)."""
    path = bundle.find_backbone() / "backbone.tflite"
    model = open_model(path.read_bytes(), path, threads=1)
    return keras.Sequential([keras.Input(batch_shape=model.input.shape), keras.layers.Lambda(model.call, output_shape=model.output.shape[1:])])


def keras_head(bundle: Bundle) -> keras.Model:
    """A GRU and a dense layer of the head's size: (1, W, D) -> (1, L)."""
    manifest = bundle.manifest
    window = keras.Input((manifest.window, manifest.feature_size))
    state = keras.layers.GRU(manifest.state_size)(window)
    return keras.Model(window, keras.layers.Dense(len(manifest.labels), activation="softmax")(state))


def prediction_ms(bundle: Bundle, num_predictions: int) -> float:
    """Median CPU time of a prediction, in milliseconds; the first one, which builds the graphs, does not count."""
    backbone, head = keras_backbone(bundle), keras_head(bundle)
    frames = np.random.default_rng(0).normal(size=(bundle.manifest.window, *backbone.input_shape)).astype(np.float32)
    durations = []
    for _ in range(num_predictions + 1):
        started = time.process_time()
        features = np.concatenate([backbone.predict(frame, verbose=0) for frame in frames])
        head.predict(features[None], verbose=0)
        durations.append(time.process_time() - started)
    return median(durations[1:]) * 1e3


if __name__ == "__main__":
    print(prediction_ms(load_bundle(sys.argv[1]), int(sys.argv[2])))
