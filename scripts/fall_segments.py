"""Makes the data of the bundle `fall` out of several data sets: `python scripts/fall_segments.py data falls` writes falls/segments.csv.

`fall` begins where nearly all of the way down is done, as before that it could be much else, and is over when somebody has been lying for a moment.
To lie is another label, whether they fell or lay down on purpose. What is neither is `nothing`; a moment around each fall is left open. Each room or
source is one group, so that folds leave it out as a whole; of exercises, each person with their place; of the one room seen from above, each video.
"""

import csv
import os
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2

SHARE_DOWN = 0.9  # of the way down, as the labels of `falls` have it, from which on it is a fall ...
LIES_S = 2.0  # ... for so long after they lie
# `ceiling` and `fall` say within a second when a fall begins, and not when it is over.
LATE_S, LASTS_S = 1.2, 4.0
EARLY_S, LATER_S = 0.5, 1.0  # what is left open before a fall begins, and between it and lying
AROUND_S = 0.3, 0.5  # what is left open before and after lying
# What is nothing is cut into pieces, so that what is most like a fall is learned from as often; those that touch would be taken for one.
PIECE_S, APART_S = 3.4, 0.6
SHORTEST_S = 0.5
LYING = ("lying", "falled", "sleeping")
# By the beginning of a path: rooms and sources. Coffee rooms share their actors, and so do homes.
GROUPS = {
    "falls/le2i/coffee": "coffee rooms",
    "falls/le2i/home": "homes",
    "falls/le2i/office": "office",
    "falls/urfd": "URFD",
    "fall/": "GMDCSA",
    "cctv-fight/": "streets",
    "streams/": "streets",
}

SOURCES = ("falls", "fall", "ceiling", "exercise", "everyday/clips", "cctv-fight", "streams")

Span = tuple[float, float]


@dataclass
class Told:
    """What the tables tell of a video: when somebody falls, and when they lie, in seconds."""

    falls: list[Span] = field(default_factory=list)
    lying: list[Span] = field(default_factory=list)


def is_fall(label: str) -> bool:
    """Whether a label of any data set says that somebody is falling; `falled` is who has."""
    return label in ("fall", "falling") or label.lower().startswith(("fall ", "falling ("))


def read(table: Path) -> dict[str, Told]:
    """The videos of a table of segments."""
    videos = defaultdict[str, Told](Told)
    with table.open(newline="") as file:
        for row in csv.DictReader(file):
            told, span = videos[row["video"]], (float(row["start_s"]), float(row["end_s"]))
            told.falls += [span] if is_fall(row["label"]) else []
            told.lying += [span] if row["label"] in LYING else []
    return videos


def length_s(video: Path) -> float:
    """How long a video is."""
    capture = cv2.VideoCapture(str(video))
    num, rate_hz = capture.get(cv2.CAP_PROP_FRAME_COUNT), capture.get(cv2.CAP_PROP_FPS)
    capture.release()
    return float(num / rate_hz)


def complete(source: str, video: str, told: Told, end_s: float) -> Told:
    """The same, with what is known of a whole data set."""
    if source == "falls" and video.startswith("le2i"):  # who fell lies there to the end
        return Told(told.falls, [*told.lying, *((down_s, end_s) for _, down_s in told.falls)])
    if source == "fall":  # a fall lasts until they move again
        return Told(told.falls, [(start_s + LASTS_S, up_s) for start_s, up_s in told.falls if up_s - start_s > LASTS_S])
    return told


def fall_span(source: str, start_s: float, end_s: float) -> Span:
    """From when to when a fall is to be seen as one, by a segment of a data set."""
    if source == "falls":
        return start_s + SHARE_DOWN * (end_s - start_s), end_s + LIES_S
    return start_s + LATE_S, min(end_s, start_s + LASTS_S)


def segments(source: str, told: Told, end_s: float) -> Iterator[tuple[float, float, str]]:
    """All segments of a video; see the head of this file."""
    falls = [fall_span(source, *fall) for fall in told.falls]
    taken = [(begin_s - EARLY_S, over_s + LATER_S) for (begin_s, _), (_, over_s) in zip(told.falls, falls, strict=True)]
    yield from ((begin_s, min(over_s, end_s), "fall") for begin_s, over_s in falls)
    for start_s, up_s in told.lying:
        down_s = max([start_s, *(over_s + LATER_S for begin_s, over_s in falls if begin_s <= start_s + LASTS_S and over_s + LATER_S > start_s)])
        taken.append((start_s - AROUND_S[0], up_s + AROUND_S[1]))
        if min(up_s, end_s) - down_s >= SHORTEST_S:
            yield down_s, min(up_s, end_s), "lying"
    clear_s = 0.0
    for begin_s, over_s in sorted(taken):
        yield from pieces(clear_s, begin_s)
        clear_s = max(clear_s, over_s)
    yield from pieces(clear_s, end_s)


def pieces(start_s: float, end_s: float) -> Iterator[tuple[float, float, str]]:
    """A stretch of nothing."""
    while end_s - start_s >= SHORTEST_S:
        yield start_s, min(start_s + PIECE_S, end_s), "nothing"
        start_s += PIECE_S + APART_S


def videos(data: Path) -> Iterator[tuple[str, str, Told]]:
    """The data set of each video, its way from the data set's folder, and what is told of it: nothing, of most."""
    for source in SOURCES:
        table, inside = data / source / "segments.csv", "videos/" if source == "ceiling" else ""
        told = {f"{inside}{video}": each for video, each in read(table).items()} if table.is_file() else {}
        paths = sorted(path for path in (data / source).rglob("*") if path.suffix in (".mp4", ".avi"))
        if source == "exercise":  # clips of one person and place differ in a number behind `_c`, and hardly in anything else
            paths = list({path.stem.rpartition("_c")[0]: path for path in reversed(paths)}.values())[::-1]
        for path in paths:
            video = path.relative_to(data / source).as_posix()
            yield source, video, told.get(video, Told())


def group_of(source: str, video: str) -> str:
    """What a video may not be parted from."""
    if source == "exercise":  # the person and the place
        return f"exercises {video.rpartition('_c')[0].rpartition('_')[2]}"
    if source == "everyday/clips":  # the person
        return f"outdoors {Path(video).name[:3]}"
    return next((group for begin, group in GROUPS.items() if f"{source}/{video}".startswith(begin)), f"from above {Path(video).stem}")


def main(data: Path, out: Path) -> None:
    """Write the table; it names the videos by their way from there."""
    out.mkdir(parents=True, exist_ok=True)
    rows = []
    for source, video, told in videos(data):
        path = data / source / video
        group = group_of(source, video)
        end_s = length_s(path)
        rows += [
            (os.path.relpath(path, out), f"{start_s:.2f}", f"{over_s:.2f}", label, group)
            for start_s, over_s, label in segments(source, complete(source, video, told, end_s), end_s)
        ]
    with (out / "segments.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("video", "start_s", "end_s", "label", "group"), *rows])


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
