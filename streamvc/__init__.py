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
    from streamvc.classification import Classification, classify
    from streamvc.errors import StreamvcError
    from streamvc.events import Event, Health, State
    from streamvc.inference.recognizer import Recognizer
    from streamvc.live import Watch, watch
    from streamvc.publish.cursor import Cursor
    from streamvc.publish.log import EventLog
    from streamvc.publish.notices import Back, Lagging, Lost, Missed, Restarted
    from streamvc.publish.publisher import Publisher
    from streamvc.publish.subscriber import Subscriber
    from streamvc.session import Session
    from streamvc.thresholds import Thresholds
    from streamvc.types import Frame, Prediction

__all__ = [
    "Back",
    "Classification",
    "Cursor",
    "Event",
    "EventLog",
    "Frame",
    "Health",
    "Lagging",
    "Lost",
    "Missed",
    "Prediction",
    "Publisher",
    "Recognizer",
    "Restarted",
    "Session",
    "Source",
    "State",
    "StreamvcError",
    "Subscriber",
    "Thresholds",
    "Watch",
    "__version__",
    "classify",
    "open_source",
    "watch",
]

_HOMES = {
    "Back": "streamvc.publish.notices",
    "Classification": "streamvc.classification",
    "Cursor": "streamvc.publish.cursor",
    "Event": "streamvc.events",
    "EventLog": "streamvc.publish.log",
    "Frame": "streamvc.types",
    "Health": "streamvc.events",
    "Lagging": "streamvc.publish.notices",
    "Lost": "streamvc.publish.notices",
    "Missed": "streamvc.publish.notices",
    "Prediction": "streamvc.types",
    "Publisher": "streamvc.publish.publisher",
    "Recognizer": "streamvc.inference.recognizer",
    "Restarted": "streamvc.publish.notices",
    "Session": "streamvc.session",
    "Source": "streamvc.capture.source",
    "State": "streamvc.events",
    "StreamvcError": "streamvc.errors",
    "Subscriber": "streamvc.publish.subscriber",
    "Thresholds": "streamvc.thresholds",
    "Watch": "streamvc.live",
    "classify": "streamvc.classification",
    "open_source": "streamvc.capture.source",
    "watch": "streamvc.live",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
