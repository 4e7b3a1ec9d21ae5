"""Makes the data of the bundle `fall` out of two data sets: `python scripts/fall_segments.py data falls` writes falls/segments.csv.

A fall is what begins where `ceiling` and `fall` (data/README.md) have one, and is over when somebody has been lying for some seconds: to lie there is
another matter. Videos of the same person are one group, and so is each video from the ceiling, which all show one person in one room.
"""

import csv
import os
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

LASTS_S = 4.0  # of a fall, from where it is said to begin
EARLY_S = 0.5  # before that it may have begun as well: the labels are right within a second
# What is none is cut into pieces, so that what is most like a fall is learned from as often; those that touch would be taken for one.
PIECE_S, APART_S = 3.4, 0.6
SHORTEST_S = 0.5


def is_fall(label: str) -> bool:
    """Whether a label of either data set says that somebody is falling; `falled` is who has."""
    return label == "falling" or label.lower().startswith("fall ") or label.lower().startswith("falling (")


@dataclass
class Told:
    """What a table tells of a video: when falls begin, and how far it is told of, in seconds."""

    starts: list[float] = field(default_factory=list)
    end_s: float = 0.0


def read(table: Path) -> dict[str, Told]:
    """The videos of a table of segments."""
    videos = defaultdict[str, Told](Told)
    with table.open(newline="") as file:
        for row in csv.DictReader(file):
            told = videos[row["video"]]
            told.starts += [float(row["start_s"])] if is_fall(row["label"]) else []
            told.end_s = max(told.end_s, float(row["end_s"]))
    return videos


def segments(told: Told) -> Iterator[tuple[float, float, str]]:
    """Falls, and what is none; a moment before each is left open."""
    clear_s = 0.0
    for start_s in sorted(told.starts):
        yield from pieces(clear_s, start_s - EARLY_S)
        clear_s = min(start_s + LASTS_S, told.end_s)
        yield start_s, clear_s, "fall"
    yield from pieces(clear_s, told.end_s)


def pieces(start_s: float, end_s: float) -> Iterator[tuple[float, float, str]]:
    """A stretch without a fall."""
    while end_s - start_s >= SHORTEST_S:
        yield start_s, min(start_s + PIECE_S, end_s), "nothing"
        start_s += PIECE_S + APART_S


def main(data: Path, out: Path) -> None:
    """Write the table; it names the videos by their way from there."""
    out.mkdir(parents=True, exist_ok=True)
    rows = []
    for name, inside in (("ceiling", "videos"), ("fall", "")):
        for video, told in read(data / name / "segments.csv").items():
            path, group = os.path.relpath(data / name / inside / video, out), video.split("/")[0]
            rows += [(path, f"{start_s:g}", f"{end_s:g}", label, group) for start_s, end_s, label in segments(told)]
    with (out / "segments.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("video", "start_s", "end_s", "label", "group"), *rows])


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
