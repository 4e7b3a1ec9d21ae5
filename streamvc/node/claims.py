"""Holds what a decoder claims against what can be: one that a stream has broken may say anything, in well-formed messages.

Each number has a range, so that whatever is wrong is that camera's alone: no size that takes the memory of others, no time that no event can carry.
"""

import time
from dataclasses import replace

from streamvc.capture.loop import MARGIN_S
from streamvc.capture.messages import CaptureSettings, Due, Finished, Message, Opened, Started
from streamvc.capture.video import SEGMENT_TIMEOUT_S
from streamvc.types import size_problem

MAX_PER_S = 1000  # messages of what plays at its own speed
MAX_FPS = 1e6
MAX_COUNT = 1 << 53
MAX_STREAM_S = 1e9  # seconds of stream time, some thirty years; of what lies longer ago, no event could tell
MAX_AHEAD_S = 1.0  # by which a moment may lie in the future, as clocks are read in turn
MAX_EARLIER_S = 3600.0  # by which a picture may have come before its decoder was started: it lay in a buffer on the way
MAX_DETAIL = 1000  # characters of what a decoder says of its end
MAX_CODEC = 32


class ClaimChecker:
    """Checks the messages of one decoder, in their order."""

    def __init__(self, settings: CaptureSettings) -> None:
        """Nothing has been said yet; `settings` are what the decoder was told."""
        self._settings = settings
        self._started = self._second = time.monotonic()
        self._num_said = 0  # within this second
        self._pid: int | None = None
        self._last: Due | None = None

    def check(self, message: Message, now: float) -> Message:
        """The message, with nothing in it that cannot be.

        Raises:
            ValueError: It says what cannot be.
        """
        self._count(now)
        match message:
            case Started():
                self._check_started(message)
            case Opened():
                self._check_opened(message)
            case Due():
                self._check_due(message, now)
                self._last = message
            case Finished():
                return replace(message, detail=_printable(message.detail)[:MAX_DETAIL])
        return message

    def _count(self, now: float) -> None:
        if now >= self._second + 1.0:
            self._second, self._num_said = now, 0
        self._num_said += 1
        if self._num_said > MAX_PER_S and self._settings.play == "as_camera":
            raise ValueError(f"it says more than {MAX_PER_S} things a second")

    def _check_started(self, started: Started) -> None:
        if self._pid is not None:
            raise ValueError(f"it claims to be process {started.pid}, and {self._pid}")
        self._pid = started.pid

    def _check_opened(self, opened: Opened) -> None:
        settings = self._settings
        handed = (settings.size_px,) * 2 if settings.size_px else opened.size
        longest_s = max(settings.open_timeout_s, settings.read_timeout_s, SEGMENT_TIMEOUT_S) + MARGIN_S
        _require(size_problem(*opened.size) is None, "pictures of the size", opened.size)
        _require(opened.handed_size == handed, "to hand on pictures of the size", opened.handed_size)
        _require(opened.fps is None or 0 < opened.fps <= MAX_FPS, "pictures/s", opened.fps)
        _require(0 < opened.silence_s <= longest_s, "seconds of silence", opened.silence_s)
        _require(settings.policy in (None, opened.policy), "the policy", opened.policy)
        _require(opened.codec is None or (opened.codec.isprintable() and len(opened.codec) <= MAX_CODEC), "the codec", opened.codec)
        _require(opened.duration_s is None or abs(opened.duration_s) < float(MAX_COUNT), "seconds of length", opened.duration_s)
        _require(opened.num_frames is None or 0 <= opened.num_frames < MAX_COUNT, "frames", opened.num_frames)

    def _check_due(self, due: Due, now: float) -> None:
        last = self._last
        index, timestamp, segment, counts = (last.index, last.timestamp, last.segment, _counts(last)) if last else (-1, 0.0, 0, (0, 0, 0))
        _require(index < due.index < MAX_COUNT, "the picture", due.index)
        _require(timestamp <= due.timestamp <= MAX_STREAM_S, "the time", due.timestamp)
        _require(segment <= due.segment < MAX_COUNT, "the segment", due.segment)
        _require(all(before <= count <= due.index + 1 for before, count in zip(counts, _counts(due), strict=True)), "the counts", _counts(due))
        for moment in (due.captured, due.decoded):
            _require(self._started - MAX_EARLIER_S <= moment <= now + MAX_AHEAD_S, "the moment", moment)
        _require(due.began is None or now - MAX_STREAM_S <= due.began <= now + MAX_AHEAD_S, "the beginning", due.began)


def _require(is_possible: bool, what: str, claimed: object) -> None:
    if not is_possible:
        raise ValueError(f"it claims {what} {claimed}")


def _counts(due: Due) -> tuple[int, int, int]:
    return due.received, due.corrupt, due.dropped


def _printable(text: str) -> str:
    """Without what a terminal obeys, or what begins another line of a log."""
    return "".join(character if character.isprintable() else " " for character in text)
