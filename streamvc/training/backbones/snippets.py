"""Networks that make a feature of several frames."""

from typing import Any

from streamvc.training.backbones.weights import Weights
from streamvc.training.networks.i3d import i3d
from streamvc.training.networks.kinetics import load_checkpoint


def i3d_features(shape: tuple[int, int, int, int], weights: Weights) -> Any:
    """(B, T, S, S, C), 0 to 255, to (B, 1024), the means that the classifier of I3D is given."""
    network = i3d(shape, num_labels=0, logits=False)
    if weights.path is not None:
        load_checkpoint(network, weights.path)
    return network
