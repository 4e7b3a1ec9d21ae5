"""Renders the figure: a data set to train on, the clip of the demo, or any story.

    python scripts/render_figure.py dataset OUT --clips-per-label 100 --seed 1
    python scripts/render_figure.py demo
    python scripts/render_figure.py story OUT.mp4 --seed 7 empty:1 enter:2.5 Squat:6 stand:2

A data set has a folder per label and a `clips.csv` (path, label, group). A group is one person in one room, seen anew in each clip; group numbers are
the seeds they were drawn with, from `--seed` up. The demo's person and room come from a seed of their own, `DEMO_SEED`.
"""

import argparse
import csv
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from figure import ACTIVITIES, BACKGROUND, render_clip, render_story, timeline

Story = Sequence[tuple[str, float]]
Size = tuple[int, int]

DATASET_SIZES = ((320, 240), (640, 480))
MOMENT_S = 0.7  # less than a recogniser takes to its first prediction, so that every prediction of a clip has its label

DEMO = Path(__file__).resolve().parents[1] / "streamvc" / "demo"
DEMO_SEED, DEMO_TAKE, DEMO_FPS, DEMO_SIZE = 910_006, 0, 25.0, (640, 480)
DEMO_STORY: Story = (
    *(("empty", 1.5), ("enter", 2.6), ("stand", 2.0), ("JumpingJack", 5.6), ("stand", 2.6), ("Squat", 6.4)),
    *(("stand", 2.6), ("Wave", 4.0), ("stand", 2.2), ("leave", 2.7), ("empty", 0.8)),
)
NOTICE = """figure.mp4: a clip of a rendered figure

Made by the streamvc project with scripts/render_figure.py. It shows no person: body, clothes, room and movements are drawn by the program.
Licensed under the Apache License, Version 2.0 (http://www.apache.org/licenses/LICENSE-2.0).

figure.json says what it shows and when, in seconds.
"""


@dataclass(frozen=True, slots=True)
class Job:
    """A clip to render: a story, or one activity if it has a single part."""

    path: Path
    parts: Story
    seed: int
    take: int
    fps: float
    size: Size

    def frames(self) -> Iterator[NDArray[np.uint8]]:
        if len(self.parts) == 1:
            (name, seconds), *_ = self.parts
            return render_clip(name, self.seed, seconds, self.fps, self.size, self.take)
        return render_story(self.parts, self.seed, self.fps, self.size, self.take)


def write_clip(path: Path, frames: Iterable[NDArray[np.uint8]], fps: float, size: Size, crf: int) -> None:
    """Write frames as H.264 in MP4, under a temporary name until all is there."""
    partial = path.with_suffix(".partial")
    with av.open(str(partial), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        # One thread, so that the bytes are the same on any machine.
        stream = container.add_stream(
            "libx264", rate=Fraction(fps).limit_denominator(1000), options={"crf": str(crf), "preset": "slow", "threads": "1"}
        )
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for image in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode())
    partial.replace(path)


def render(job: Job, crf: int = 23) -> None:
    """Render one clip."""
    job.path.parent.mkdir(parents=True, exist_ok=True)
    write_clip(job.path, job.frames(), job.fps, job.size, crf)


def activity_story(rng: np.random.Generator, name: str, seconds: float) -> Story:
    """The activity, taken up in its midst or, in half of the clips, after a moment of standing."""
    activity = (name, seconds * rng.uniform(0.8, 1.2))
    return (("stand", rng.uniform(0.3, MOMENT_S)), activity) if rng.random() < 0.5 else (activity,)


def idle_stories(rng: np.random.Generator) -> list[Story]:
    """Where no activity is: somebody comes, stands about, goes; somebody stands or walks through; somebody has just stopped."""
    come: Story = (("empty", 0.6), ("enter", rng.uniform(2.2, 3.2)), ("stand", rng.uniform(3.0, 5.0)), ("leave", rng.uniform(2.2, 3.2)))
    stay: Story = (("stand", rng.uniform(3.0, 5.0)), ("stand", rng.uniform(3.0, 5.0)))
    through: Story = (("empty", rng.uniform(1.0, 2.0)), ("cross", rng.uniform(3.0, 4.0)))
    stopped: Story = ((str(rng.choice(list(ACTIVITIES))), rng.uniform(0.3, MOMENT_S)), ("stand", rng.uniform(2.5, 4.0)))
    return [come, stay if rng.random() < 0.7 else through, stopped]


def dataset_jobs(out: Path, num_groups: int, seed: int, seconds: float, fps: float, sizes: Sequence[Size]) -> list[Job]:
    """One clip of each activity and three of none, for each group; groups take the sizes in turn."""
    jobs = []
    for group in range(seed, seed + num_groups):
        rng = np.random.default_rng([group, 3])
        stories = {name: [activity_story(rng, name, seconds)] for name in ACTIVITIES} | {BACKGROUND: idle_stories(rng)}
        numbered = [(label, number, parts) for label, of_label in stories.items() for number, parts in enumerate(of_label)]
        size = sizes[group % len(sizes)]
        jobs += [
            Job(out / label / f"g{group:06d}_{number}.mp4", parts, group, take, fps, size) for take, (label, number, parts) in enumerate(numbered)
        ]
    return jobs


def write_table(out: Path, jobs: Sequence[Job]) -> None:
    partial = out / "clips.csv.partial"
    with partial.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("path", "label", "group"))
        table.writerows((job.path.relative_to(out).as_posix(), job.path.parent.name, f"g{job.seed}") for job in jobs)
    partial.replace(out / "clips.csv")


def make_dataset(out: Path, num_groups: int, seed: int, seconds: float, fps: float, sizes: Sequence[Size], processes: int) -> None:
    jobs = dataset_jobs(out, num_groups, seed, seconds, fps, sizes)
    with ProcessPoolExecutor(processes) as pool:
        for done, _ in enumerate(pool.map(render, jobs, chunksize=len(jobs) // num_groups), 1):
            print(f"\r{done} of {len(jobs)} clips", end="", flush=True)
    print()
    write_table(out, jobs)


def make_demo() -> None:
    """Write the clip, its notice, and what it shows."""
    render(Job(DEMO / "figure.mp4", DEMO_STORY, DEMO_SEED, DEMO_TAKE, DEMO_FPS, DEMO_SIZE), crf=25)
    segments = [
        {"label": act.label, "start_s": round(act.start_s, 3), "end_s": round(act.end_s, 3)}
        for act in timeline(DEMO_STORY)
        if act.label != BACKGROUND
    ]
    (DEMO / "figure.json").write_text(json.dumps({"duration_s": timeline(DEMO_STORY)[-1].end_s, "segments": segments}, indent=2) + "\n")
    (DEMO / "figure.NOTICE").write_text(NOTICE)


def parse_size(text: str) -> Size:
    width, height = (int(part) for part in text.split("x"))
    return width, height


def parse_part(text: str) -> tuple[str, float]:
    name, seconds = text.split(":")
    return name, float(seconds)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    dataset = commands.add_parser("dataset", help="a data set to train on")
    dataset.add_argument("out", type=Path)
    dataset.add_argument("--clips-per-label", type=int, default=100, metavar="N", help="groups; three times as many clips of nothing (default: 100)")
    dataset.add_argument("--seed", type=int, default=1, help="of the first group (default: 1)")
    dataset.add_argument("--seconds", type=float, default=4.5, help="length of a clip of an activity, within a fifth (default: 4.5)")
    dataset.add_argument("--processes", type=int, default=os.cpu_count())
    commands.add_parser("demo", help="the clip of `streamvc demo`")
    story = commands.add_parser("story", help="any story")
    story.add_argument("out", type=Path)
    story.add_argument("parts", nargs="+", type=parse_part, metavar="ACT:SECONDS")
    story.add_argument("--seed", type=int, default=1, help="of the person and the room (default: 1)")
    story.add_argument("--take", type=int, default=0, help="another camera and manner (default: 0)")
    dataset.add_argument("--fps", type=float, default=5.0, help="(default: 5, the rate that models look at)")
    dataset.add_argument(
        "--sizes", type=parse_size, nargs="+", default=DATASET_SIZES, metavar="WxH", help="groups take them in turn (default: 320x240 640x480)"
    )
    story.add_argument("--fps", type=float, default=25.0, help="(default: 25)")
    story.add_argument("--size", type=parse_size, default=DEMO_SIZE, metavar="WxH", help="(default: 640x480)")
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    if arguments.command == "dataset":
        numbers = (arguments.clips_per_label, arguments.seed, arguments.seconds, arguments.fps, arguments.sizes)
        make_dataset(arguments.out, *numbers, arguments.processes)
    elif arguments.command == "demo":
        make_demo()
    else:
        render(Job(arguments.out, arguments.parts, arguments.seed, arguments.take, arguments.fps, arguments.size))


if __name__ == "__main__":
    main()
