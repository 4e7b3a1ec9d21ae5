"""What is published: events when an activity begins, goes on and ends, the state and the health of cameras, and heartbeats.

A `Detection` is what the detector decides, in stream time. An `Event` is a detection of a named camera and model, with all that a reader needs to
judge it. It has two times, in fields of their own: stream time (seconds since the stream began) and wall time (Unix seconds). Wall time is None where
it is not known: nothing says when a recording was made.

No field of what is published has a default, so that a reader refuses what lacks one. `seq` counts the messages of one camera and kind, and `epoch`
the runs of the publisher; both are None until it is published.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from streamvc.text import printable
from streamvc.types import Clock, Subject

Phase = Literal["start", "update", "end"]
Reason = Literal["left", "gone", "gap", "stop", "end_of_stream", "lost", "error", "restart"]
Status = Literal["up", "stalled", "frozen", "down", "disabled", "ended", "degraded"]

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LATEST_MS = (1 << 48) - 1  # that an identifier has room for: the year 10889


@dataclass(frozen=True, slots=True)
class Decision:
    """The settings a decision was made with: score thresholds (0 to 1) and times in seconds."""

    enter: float
    leave: float
    min_s: float
    cooldown_s: float
    smoothing_s: float


@dataclass(frozen=True, slots=True)
class Detection:
    """One decision of the detector, in stream time.

    Attributes:
        phase: `start`, `update` or `end`; the three of one activity share `label` and `t_start`.
        label: The activity.
        score: Smoothed score at the decision; the highest reached, for an `end`.
        top: The best three labels with their smoothed scores, best first.
        timestamp: Stream time of the decision.
        t_start: Stream time at which the score rose above `decision.enter`.
        t_end: Stream time at which it fell below `decision.leave`; None until the end.
        reason: Why it ended; None until the end.
        decision: The settings in force.
        subject: Whose activity it is, as they were seen last; None for one of the whole scene.
        count: Repetitions so far; None where they are not counted.
    """

    phase: Phase
    label: str
    score: float
    top: tuple[tuple[str, float], ...]
    timestamp: float
    t_start: float
    t_end: float | None
    reason: Reason | None
    decision: Decision
    subject: Subject | None = None
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Timing:
    """When the deciding frame was captured (Unix seconds), and how many seconds later it had passed each stage; None for one to come."""

    capture: float
    decoded_s: float
    features_s: float
    decided_s: float
    published_s: float | None


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """The stream when the event was made: frames/s received, frames/s analysed, frames dropped so far, length of the last gap, clock."""

    fps_in: float
    rate_hz: float
    dropped: int
    gap_s: float
    clock: Clock


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """The bundle that recognised it; `sha256` is the manifest's."""

    name: str
    version: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Media:
    """Links to the picture and the clip of an event, where they were asked for."""

    snapshot: str | None
    clip: str | None


@dataclass(frozen=True, slots=True)
class Event:
    """An activity begins, goes on or ends.

    Attributes:
        event_id: The activity; its `start`, `update` and `end` have the same.
        phase: Which of the three this is.
        camera: Where it was seen.
        label: The activity's name.
        subject: Who does it, as they were seen last; None where the model speaks of the scene as a whole.
        score: Smoothed score at the decision; the highest reached, for an `end`.
        top: The best three labels with their smoothed scores, best first.
        t_start: When the activity began, in wall time (Unix seconds); None where that is not known.
        t_end: When it ended, likewise; None until then.
        stream_start_s: When the activity began, in stream time (seconds since the stream began).
        stream_end_s: When it ended, likewise; None until then.
        duration_s: How long it has gone on, in stream time; None at the start.
        count: Repetitions so far, the one that goes on among them; None where the model does not count those of this label.
        reason: Why it ended, None until then: `left`, its score fell; `gone`, the person could not be seen any more; `gap`, nothing was seen for a
            while; `stop`, `end_of_stream`, `lost`, `error` and `restart`, the camera or the program ended.
        decision: The settings in force.
        timing: When the deciding frame passed each stage.
        stream: The stream at that time.
        model: The model that recognised it.
        media: Links to what was recorded of it.
        seq: The number of this message among those of its camera and kind; None until it is published.
        epoch: The run of the publisher; None until it is published.
    """

    event_id: str
    phase: Phase
    camera: str
    label: str
    subject: Subject | None
    score: float
    top: tuple[tuple[str, float], ...]
    t_start: float | None
    t_end: float | None
    stream_start_s: float
    stream_end_s: float | None
    duration_s: float | None
    count: int | None
    reason: Reason | None
    decision: Decision
    timing: Timing
    stream: StreamInfo
    model: ModelInfo
    media: Media
    seq: int | None
    epoch: int | None


@dataclass(frozen=True, slots=True)
class Activity:
    """An activity that goes on: its event's identifier and label, whose it is, the score it began with, and when that was, in both times.

    `subject` is as it was at the start; None for an activity of the whole scene.
    """

    event_id: str
    label: str
    subject: Subject | None
    score: float
    t_start: float | None
    stream_start_s: float


@dataclass(frozen=True, slots=True)
class State:
    """What goes on at a camera now: the activities, the oldest first, and the status it reported last; None before it reported any."""

    camera: str
    status: Status | None
    activities: tuple[Activity, ...]
    seq: int | None
    epoch: int | None

    @property
    def label(self) -> str | None:
        """The label of the newest activity; None where nothing goes on."""
        return self.activities[-1].label if self.activities else None


@dataclass(frozen=True, slots=True)
class Health:
    """How a camera fares, or a node.

    Attributes:
        camera: The camera; for what concerns the whole program, the node.
        status: `up`, frames come; `stalled`, none has come for a while; `frozen`, they come, but it is always the same picture; `down`, it is lost;
            `disabled`, it is not watched now; `ended`, it was a recording, or was stopped; `degraded`, it goes on, but lacks something.
        reason: Why activities were ended with it, where that may be.
        detail: What happened, in words; None where there is nothing to say.
        fps_in: Frames/s received; None where there are none.
        rate_hz: Frames/s analysed; None where there are none.
        dropped: Frames dropped so far.
    """

    camera: str
    status: Status
    reason: Reason | None
    detail: str | None
    fps_in: float | None
    rate_hz: float | None
    dropped: int
    seq: int | None
    epoch: int | None


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A publisher is alive, even where it has nothing to say; another follows in `interval_s`.

    `sequences` are the last of each camera and kind, so that one who missed the last message knows.
    """

    node: str
    epoch: int
    interval_s: float
    sequences: Mapping[str, Mapping[str, int]]


Body = Event | State | Health | Heartbeat


def event_id(camera: str, model_sha256: str, label: str, stream_start_s: float, *, t_start: float | None = None, source_id: str = "") -> str:
    """An identifier in ULID form: 48 bits of the time at which it began in milliseconds, then 80 bits of a digest of what happened.

    Args:
        camera: Where it was seen.
        model_sha256: Of the bundle that recognised it.
        label: The activity.
        stream_start_s: When it began, in stream time.
        t_start: When it began, in Unix seconds; where that is not known, stream time stands in the identifier.
        source_id: What the frames were of, and which part of it: the same for a replay of a recording alone.
    """
    digest = hashlib.sha256(f"{camera}\n{model_sha256}\n{label}\n{stream_start_s!r}\n{source_id}".encode()).digest()
    milliseconds = int(1000 * (stream_start_s if t_start is None else t_start))
    raw = min(max(0, milliseconds), LATEST_MS).to_bytes(6, "big") + digest[:10]
    # 128 bits in 26 characters of 5 bits: two zero bits come first, as ULID has it.
    number = int.from_bytes(raw, "big")
    return "".join(CROCKFORD[(number >> shift) & 31] for shift in range(125, -1, -5))


def describe(body: Body, written: float | None = None) -> str:
    """One line for people: when, which camera, what, how sure.

    Args:
        body: What was published.
        written: When, in Unix seconds, for what does not say so itself: all but events.
    """
    return printable(_describe(body, "" if written is None else f"{_local(written)}  "))


def _describe(body: Body, when: str) -> str:
    match body:
        case Event():
            return _describe_event(body)
        case State():
            labels = ", ".join(activity.label for activity in body.activities)
            return f"{when}{body.camera}  state   {labels or '-'}  ({body.status or 'unknown'})"
        case Health():
            return f"{when}{body.camera}  {body.status}" + (f"  {body.detail}" if body.detail else "")
        case Heartbeat():
            return f"{when}{body.node}  heartbeat"


def _describe_event(event: Event) -> str:
    elapsed_s = event.duration_s or 0.0
    when = f"{event.stream_start_s + elapsed_s:7.2f} s" if event.t_start is None else _local(event.t_start + elapsed_s)
    who = f"  person {event.subject.track}" if event.subject else ""
    line = f"{when}  {event.camera}  {event.phase:6}  {event.label}{who}  {event.score:.2f}"
    if event.duration_s is None:
        return line
    line += "" if event.count is None else f"  {event.count} times"
    return f"{line}  {event.duration_s:.1f} s" + (f"  ({event.reason})" if event.reason not in (None, "left") else "")


def _local(time: float) -> str:
    return f"{datetime.fromtimestamp(time):%Y-%m-%d %H:%M:%S}"
