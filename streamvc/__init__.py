"""Watches live video and says what people are doing, as it happens.

for event in streamvc.watch("0", model="exercise"):
    print(event.phase, event.label, event.score)

The names below are imported when they are first used, so that `import streamvc` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from streamvc._version import __version__

if TYPE_CHECKING:
    from streamvc.capture.source import Source, open_source
    from streamvc.errors import (
        AccessError,
        BundleError,
        DataError,
        InferenceError,
        NodeError,
        PublishError,
        SinkError,
        SourceError,
        StreamvcError,
        ViewError,
    )
    from streamvc.events import Event, Health, State
    from streamvc.inference.recognizer import Recognizer
    from streamvc.pipeline import Tuning, classify, watch
    from streamvc.publish.cursor import Cursor
    from streamvc.publish.log import EventLog
    from streamvc.publish.notices import Lagging, Missed, PublisherLost, PublisherReconnected, PublisherRestarted
    from streamvc.publish.publisher import Publisher
    from streamvc.publish.subscriber import Subscriber
    from streamvc.types import Frame, Prediction

__all__ = [
    "AccessError",
    "BundleError",
    "Cursor",
    "DataError",
    "Event",
    "EventLog",
    "Frame",
    "Health",
    "InferenceError",
    "Lagging",
    "Missed",
    "NodeError",
    "Prediction",
    "PublishError",
    "Publisher",
    "PublisherLost",
    "PublisherReconnected",
    "PublisherRestarted",
    "Recognizer",
    "SinkError",
    "Source",
    "SourceError",
    "State",
    "StreamvcError",
    "Subscriber",
    "Tuning",
    "ViewError",
    "__version__",
    "classify",
    "open_source",
    "watch",
]

_HOMES = {
    "AccessError": "streamvc.errors",
    "BundleError": "streamvc.errors",
    "Cursor": "streamvc.publish.cursor",
    "DataError": "streamvc.errors",
    "Event": "streamvc.events",
    "EventLog": "streamvc.publish.log",
    "Frame": "streamvc.types",
    "Health": "streamvc.events",
    "InferenceError": "streamvc.errors",
    "Lagging": "streamvc.publish.notices",
    "Missed": "streamvc.publish.notices",
    "NodeError": "streamvc.errors",
    "Prediction": "streamvc.types",
    "PublishError": "streamvc.errors",
    "Publisher": "streamvc.publish.publisher",
    "PublisherLost": "streamvc.publish.notices",
    "PublisherReconnected": "streamvc.publish.notices",
    "PublisherRestarted": "streamvc.publish.notices",
    "Recognizer": "streamvc.inference.recognizer",
    "SinkError": "streamvc.errors",
    "Source": "streamvc.capture.source",
    "SourceError": "streamvc.errors",
    "State": "streamvc.events",
    "StreamvcError": "streamvc.errors",
    "Subscriber": "streamvc.publish.subscriber",
    "Tuning": "streamvc.pipeline",
    "ViewError": "streamvc.errors",
    "classify": "streamvc.pipeline",
    "open_source": "streamvc.capture.source",
    "watch": "streamvc.pipeline",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
