"""Tries the bundle `home` on real video: which marked activities it hears, and what it hears beside.

    python scripts/try_home.py DATA [--model home] [--rate-hz 2.5] [--dropped 0.5]

scripts/home/marks.csv says what people do in some of the videos of DATA (see data/README.md); who made the bundle marked them by eye, right within
half a second. The operating point was chosen on the rooms of `CHOSEN_ON`. An activity is heard where its label begins from half a second before it to
1.5 s after its end, or, of `walk` and `still`, goes on within it. What begins and meets no mark of its label within a second is wrong, or something
that nobody marked. Of other video, clips of exercises that were not learned from and rooms, the events are counted by label.
"""

import argparse
import csv
import random
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from home.sequences import NOTHING
from streamvc.capture.source import open_source
from streamvc.events import Event
from streamvc.sampling import Sampler
from streamvc.session import Session

MARKS = Path(__file__).parent / "home" / "marks.csv"
SIX = ("sit down", "stand up", "get up from the floor", "lie down", "walk", "still")
LASTING = ("walk", "still")
CHOSEN_ON = ("home_02", "weizmann", "gmdcsa")
MARKED_THROUGHOUT = ("home_02", "office2_extra")  # rooms of whose videos all was marked
EARLY_S, LATE_S, NEAR_S = 0.5, 1.5, 1.0
LEAST_GROUP, EVERY = 17, 4  # of the exercises: none of these groups was learned from


@dataclass(frozen=True, slots=True)
class Mark:
    """Somebody does something."""

    start_s: float
    end_s: float
    label: str
    room: str


@dataclass(frozen=True, slots=True)
class Heard:
    """An event: what began, when that was said, and when it was over."""

    label: str
    start_s: float
    said_s: float
    end_s: float


def read_marks() -> dict[str, list[Mark]]:
    """What is marked, by video."""
    marks = defaultdict[str, list[Mark]](list)
    with MARKS.open(newline="") as file:
        for row in csv.DictReader(file):
            marks[row["video"]].append(Mark(float(row["start_s"]), float(row["end_s"]), row["label"], row["room"]))
    return marks


def hear(session: Session, video: Path, rate_hz: float | None = None, dropped: float = 0.0) -> tuple[list[Heard], float]:
    """The events of a video, and how long it is in seconds."""
    chance, sampler = random.Random(video.name), Sampler(rate_hz or max(session.rates_hz))
    started: dict[str, tuple[str, float, float]] = {}
    found: list[Heard] = []
    last_s = 0.0

    def take(events: Iterable[Event], now_s: float) -> None:
        for event in events:
            if event.phase == "start":
                started[event.event_id] = (event.label, event.stream_start_s, now_s)
            elif event.phase == "end":
                label, start_s, said_s = started.pop(event.event_id)
                found.append(Heard(label, start_s, said_s, now_s if event.stream_end_s is None else event.stream_end_s))

    with open_source(video, policy="every") as frames:
        for frame in frames:
            last_s = frame.timestamp
            if sampler.step(frame) and chance.random() >= dropped:
                take(session.take(frame), last_s)
    take(session.gap(), last_s)
    return found, last_s


def is_heard(mark: Mark, heard: Iterable[Heard]) -> bool:
    """See above."""
    own = [each for each in heard if each.label == mark.label]
    begins = any(mark.start_s - EARLY_S <= each.said_s <= mark.end_s + LATE_S for each in own)
    return begins or (mark.label in LASTING and any(each.said_s <= mark.end_s and each.end_s >= mark.start_s for each in own))


def is_marked(each: Heard, marks: Iterable[Mark]) -> bool:
    """Whether an event meets a mark of its label."""
    near = (mark for mark in marks if mark.label == each.label)
    return any(each.start_s <= mark.end_s + NEAR_S and each.end_s >= mark.start_s - NEAR_S for mark in near)


def try_marked(session: Session, data: Path, rate_hz: float | None, dropped: float) -> None:
    """Print what is heard of what is marked."""
    right, num, unmarked = Counter[tuple[str, str]](), Counter[tuple[str, str]](), Counter[str]()
    total_s = 0.0
    for video, marks in sorted(read_marks().items()):
        heard, length_s = hear(session, data / video, rate_hz, dropped)
        for mark in marks:
            num[mark.room, mark.label] += 1
            right[mark.room, mark.label] += is_heard(mark, heard)
        if marks[0].room in MARKED_THROUGHOUT:
            total_s += length_s
            unmarked.update(each.label for each in heard if not is_marked(each, marks))
    for key in sorted(num):
        print(f"  {key[0]:16}{key[1]:24}{right[key]:4} of {num[key]}")
    for name, rooms in (("chosen on", CHOSEN_ON), ("others", tuple({room for room, _ in num} - set(CHOSEN_ON)))):
        keys = [key for key in num if key[0] in rooms and key[1] in SIX]
        found, of = sum(right[key] for key in keys), sum(num[key] for key in keys)
        print(f"six labels, rooms it was {name}: {found} of {of}, {found / max(of, 1):.3f}")
    minutes = total_s / 60
    print(f"meets no mark, {minutes:.1f} min: {unmarked.total() / max(minutes, 1e-9):.2f} a minute: {told(unmarked)}", flush=True)


def try_others(session: Session, videos: Iterable[Path], name: str) -> None:
    """Print what is heard in other video."""
    counts, total_s = Counter[str](), 0.0
    for video in videos:
        heard, length_s = hear(session, video)
        counts.update(each.label for each in heard if each.label != NOTHING)
        total_s += length_s
    print(f"{name}, {total_s / 60:.1f} min: {told(counts)}", flush=True)


def told(counts: Counter[str]) -> str:
    """The most frequent first."""
    return ", ".join(f"{label} {num}" for label, num in counts.most_common()) or "nothing"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="home")
    parser.add_argument("--rate-hz", type=float, help="frames a second that there are (default: as many as the model wants)")
    parser.add_argument("--dropped", type=float, default=0.0, help="share of these that is missing at random")
    parser.add_argument("--others", action="store_true", help="count what is heard in rooms and exercises, too")
    arguments = parser.parse_args()
    with Session(arguments.model, source_id="try") as session:
        try_marked(session, arguments.data, arguments.rate_hz, arguments.dropped)
        if arguments.others:
            exercises = sorted((arguments.data / "exercise").glob("*/*.mp4"))[EVERY // 2 :: EVERY]
            try_others(session, [path for path in exercises if int(path.name.split("_g")[1][:2]) >= LEAST_GROUP], "exercises")
            for place in ("le2i/coffee_room_01", "le2i/home_01", "urfd"):
                try_others(session, sorted((arguments.data / "falls" / place).glob("*.mp4")), place)


if __name__ == "__main__":
    main()
