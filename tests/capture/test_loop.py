"""The capture loop on pictures that are made here: what it says of each."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from streamvc.capture.loop import CaptureLoop
from streamvc.capture.messages import CaptureSettings, Due, MotionSettings, Opened
from streamvc.capture.stream import Picture, Stream
from streamvc.types import Array

PERIOD_S = 0.2


@dataclass
class Listener:
    """Takes what it is told, and waits for nothing."""

    told: list[Due] = field(default_factory=list)

    def open(self, opened: Opened) -> None:
        pass

    def put(self, due: Due, write: Callable[[Array], None] | None) -> bool:
        self.told.append(due)
        return True

    def wait_until(self, moment: float) -> None:
        pass


def pictures(*ages_s: float) -> Iterator[Picture]:
    """Read now, each, and come so many seconds ago."""
    for number, age_s in enumerate(ages_s):
        now = time.monotonic()
        yield Picture(number * PERIOD_S, "pts", now - age_s, now, (4, 6, 3), lambda _image: None, lambda: np.zeros((4, 6), np.uint8))


def test_a_picture_that_came_too_long_ago_is_late_however_soon_it_was_decoded() -> None:
    settings = CaptureSettings("yard", "yard", (1 / PERIOD_S,), motion=MotionSettings(gate=False), frozen_s=0.0, staleness_s=100.0)
    listener = Listener()
    CaptureLoop(settings, Stream(pictures(0.0, 200.0, 0.0), is_live=True), listener).run()
    assert [due.absence for due in listener.told] == [None, "late", None]
