"""Plans of cameras, made of a configuration as a node makes them."""

from dataclasses import replace

from streamvc.inference.model_cache import ModelCache
from streamvc.node.camera import Plan
from streamvc.node.connection import capture_settings
from streamvc.node.settings import CameraConfig
from streamvc.session import Session


def plan(camera: CameraConfig) -> Plan:
    """How a node watches a camera."""
    session = Session([use.name for use in camera.models], camera=camera.name, opener=ModelCache().open)
    return Plan(camera, session, replace(capture_settings(camera, session.rates_hz), policy="latest"), 0)
