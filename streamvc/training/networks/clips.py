"""Heads over the window of pictures or feature maps, as a recipe builds them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from streamvc.errors import DataError
from streamvc.inference.pictures import NUM_CHANNELS
from streamvc.training.inputs import Inputs
from streamvc.training.networks.c3d import c3d as build_c3d
from streamvc.training.networks.convlstm import convlstm as build_convlstm
from streamvc.training.networks.edge import tflite
from streamvc.training.networks.i3d import i3d as build_i3d
from streamvc.training.networks.kinetics import load_checkpoint
from streamvc.training.networks.network import HeadFiles, HeadSpec, Network
from streamvc.training.networks.two_stream import two_stream as build_two_stream
from streamvc.training.tensorflow import keras


def c3d(spec: HeadSpec) -> Network:
    """C3D; see `streamvc.training.networks.c3d`."""
    return _over_clips(spec, lambda shape: build_c3d(shape, spec.num_labels, spec.settings.width, spec.settings.dropout))


def i3d(spec: HeadSpec) -> Network:
    """I3D; see `streamvc.training.networks.i3d`. It begins with the weights of a published checkpoint where the settings name one."""

    def build(shape: tuple[int, int, int, int]) -> Any:
        model = build_i3d(shape, spec.num_labels, spec.settings.width, spec.settings.dropout)
        if spec.settings.weights:
            load_checkpoint(model, Path(spec.settings.weights))
        return model

    return _over_clips(spec, build)


def two_stream(spec: HeadSpec) -> Network:
    """Colours and flow, fused late; see `streamvc.training.networks.two_stream`."""
    if spec.picture_shape()[2] != NUM_CHANNELS["colour+flow"]:
        raise DataError("two-stream learns from pictures and their motion; choose a --backbone such as colour+flow:112")
    return _over_clips(spec, lambda shape: build_two_stream(shape, spec.num_labels, spec.settings.width, spec.settings.dropout))


def convlstm(spec: HeadSpec) -> Network:
    """A convolutional LSTM over feature maps; see `streamvc.training.networks.convlstm`."""
    return _over_clips(spec, lambda shape: build_convlstm(shape, spec.num_labels, spec.settings.width, spec.settings.dropout))


def _over_clips(spec: HeadSpec, build: Callable[[tuple[int, int, int, int]], Any]) -> Network:
    """Every clip is full: the oldest picture stands in for those that are missing, so that lengths say nothing."""
    shape = (spec.settings.window, *spec.picture_shape())
    core = build(shape)
    clips, lengths = keras.Input(shape), keras.Input((), dtype="int64")
    model = keras.Model([clips, lengths], core(clips))

    def export(_: Inputs) -> HeadFiles:
        return HeadFiles({"network.tflite": tflite(core)}, spec.num_inputs, 0)

    return Network("clip", model, export)
