"""For tests: a network camera that fails on script, a network that can be cut, and an RTSP server."""

from streamvc.testing.camera import ScriptedCamera
from streamvc.testing.pictures import moving_pattern, recording
from streamvc.testing.script import Burst, Corrupt, Die, Freeze, Jump, Play, Refuse, Resize, ScriptStep, Stall

__all__ = [
    "Burst",
    "Corrupt",
    "Die",
    "Freeze",
    "Jump",
    "Play",
    "Refuse",
    "Resize",
    "ScriptStep",
    "ScriptedCamera",
    "Stall",
    "moving_pattern",
    "recording",
]
