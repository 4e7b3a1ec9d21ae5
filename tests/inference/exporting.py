"""Keras models and `.tflite` files of a head, for tests of the `train` extra."""

from typing import Any

import keras
import tensorflow as tf

from tests.inference.gru import Gru


def keras_model(gru: Gru) -> Any:
    """(B, T, D) -> (B, L) logits."""
    recurrent = keras.layers.GRU(gru.num_units)
    dense = keras.layers.Dense(gru.num_labels)
    clip = keras.Input((None, len(gru.kernel)))
    model = keras.Model(clip, dense(recurrent(clip)))
    recurrent.set_weights([gru.kernel, gru.recurrent, gru.bias])
    dense.set_weights([gru.dense, gru.dense_bias])
    return model


def head_files(gru: Gru) -> dict[str, bytes]:
    """project.tflite and step.tflite."""
    gates = 3 * gru.num_units

    def project(feature: Any) -> Any:
        return feature @ gru.kernel + gru.bias[0]

    def step(row: Any) -> Any:
        projection, state = row[:, :gates], row[:, gates:]
        update_x, reset_x, candidate_x = tf.split(projection, 3, axis=1)
        update_h, reset_h, candidate_h = tf.split(state @ gru.recurrent + gru.bias[1], 3, axis=1)
        update, reset = tf.sigmoid(update_x + update_h), tf.sigmoid(reset_x + reset_h)
        new = update * state + (1 - update) * tf.tanh(candidate_x + reset * candidate_h)
        return tf.concat([new, new @ gru.dense + gru.dense_bias], axis=1)

    return {"project.tflite": convert(project, len(gru.kernel)), "step.tflite": convert(step, gates + gru.num_units)}


def convert(function: Any, num_inputs: int) -> bytes:
    """A function of a (1, num_inputs) tensor as a .tflite file."""
    module = tf.Module()
    module.call = tf.function(function, input_signature=[tf.TensorSpec((1, num_inputs), tf.float32)])
    return bytes(tf.lite.TFLiteConverter.from_concrete_functions([module.call.get_concrete_function()], module).convert())
