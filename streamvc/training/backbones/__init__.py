"""Backbones that `streamvc backbones make` can make. Loads no TensorFlow; making one does."""

from streamvc.training.backbones.registry import BLAZEPOSE, BLUEPRINTS, MOVENETS, Blueprint, find_blueprint, missing_hint

__all__ = ["BLAZEPOSE", "BLUEPRINTS", "MOVENETS", "Blueprint", "find_blueprint", "missing_hint"]
