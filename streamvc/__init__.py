"""Watches live video and says what people are doing, as it happens.

    for event in streamvc.watch("0", model="exercise"):
        print(event.phase, event.label, event.score)

With pictures of one's own (a camera loop, ROS, GStreamer, a notebook):

    with streamvc.Session("exercise", camera="yard") as session:
        for image in my_camera():
            for event in session.step(image):
                print(event.phase, event.label, event.score)

The names below are imported when they are first used, so that `import streamvc` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from streamvc._version import __version__

if TYPE_CHECKING:
    from streamvc.capture.source import Source, open_source
    from streamvc.classification import Classification, classify
    from streamvc.errors import (
        AccessError,
        BundleError,
        DataError,
        InferenceError,
        MessageError,
        NodeError,
        PublishError,
        SinkError,
        SourceError,
        StreamvcError,
        ViewError,
    )
    from streamvc.events import Event, Health, State
    from streamvc.inference.recognizer import Recognizer
    from streamvc.live import Watch, watch
    from streamvc.publish.cursor import Cursor
    from streamvc.publish.log import EventLog
    from streamvc.publish.notices import Lagging, Missed, PublisherLost, PublisherReconnected, PublisherRestarted
    from streamvc.publish.publisher import Publisher
    from streamvc.publish.subscriber import Subscriber
    from streamvc.session import Session
    from streamvc.thresholds import Thresholds
    from streamvc.types import Frame, Prediction

__all__ = [
    "AccessError",
    "BundleError",
    "Classification",
    "Cursor",
    "DataError",
    "Event",
    "EventLog",
    "Frame",
    "Health",
    "InferenceError",
    "Lagging",
    "MessageError",
    "Missed",
    "NodeError",
    "Prediction",
    "PublishError",
    "Publisher",
    "PublisherLost",
    "PublisherReconnected",
    "PublisherRestarted",
    "Recognizer",
    "Session",
    "SinkError",
    "Source",
    "SourceError",
    "State",
    "StreamvcError",
    "Subscriber",
    "Thresholds",
    "ViewError",
    "Watch",
    "__version__",
    "classify",
    "open_source",
    "watch",
]

_MODULES = {
    "streamvc.capture.source": ("Source", "open_source"),
    "streamvc.classification": ("Classification", "classify"),
    "streamvc.errors": (
        *("AccessError", "BundleError", "DataError", "InferenceError", "MessageError", "NodeError"),
        *("PublishError", "SinkError", "SourceError", "StreamvcError", "ViewError"),
    ),
    "streamvc.events": ("Event", "Health", "State"),
    "streamvc.inference.recognizer": ("Recognizer",),
    "streamvc.live": ("Watch", "watch"),
    "streamvc.publish.cursor": ("Cursor",),
    "streamvc.publish.log": ("EventLog",),
    "streamvc.publish.notices": ("Lagging", "Missed", "PublisherLost", "PublisherReconnected", "PublisherRestarted"),
    "streamvc.publish.publisher": ("Publisher",),
    "streamvc.publish.subscriber": ("Subscriber",),
    "streamvc.session": ("Session",),
    "streamvc.thresholds": ("Thresholds",),
    "streamvc.types": ("Frame", "Prediction"),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
