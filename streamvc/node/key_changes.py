"""What has changed of a camera's keys, in words. Pure."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from streamvc.capture.address import redact


@dataclass(frozen=True, slots=True)
class KeyChange:
    """A key of a camera, and what it was and is now, in words."""

    key: str
    old: str
    new: str


def key_change(key: str, before: Any, after: Any, defaults: Any) -> KeyChange | None:
    """What has changed of a key (`rate_hz`, `thresholds.enter`) between two settings of a camera; None where nothing has.

    Where the key is not there, the default stands for it. Passwords are not shown.
    """
    old, new, default = (look_up(settings, key.split(".")) for settings in (before, after, defaults))
    if old == new:
        return None
    nothing = "not set" if default is None else f"not set (default {_in_words(default)})"
    was, is_now = (nothing if value is None else _in_words(value) for value in (old, new))
    return KeyChange(key, was, is_now if is_now != was else f"{is_now} (another login)")


def look_up(data: Any, steps: Sequence[str | int]) -> Any:
    """What is found in nested mappings and lists on this way; None where it ends before."""
    for step in steps:
        try:
            data = data[step]
        except (LookupError, TypeError):
            return None
    return data


def _in_words(value: Any) -> str:
    return redact(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
