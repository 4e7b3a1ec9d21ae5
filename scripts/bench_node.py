"""Measures a node: how many cameras it can watch, how old their frames are, how soon an event is out, and what stays of its memory.

    python scripts/bench_node.py cameras [--cameras 40] [--seconds 600] [--readers]  paced files as cameras, analysed at 5 Hz
    python scripts/bench_node.py still [--cameras 100] [--no-rest]          the same where nothing moves but noise
    python scripts/bench_node.py neighbours [--seconds 60] [--broken FILE]  what one of eight costs the others when it fails
    python scripts/bench_node.py latency [--cameras 8] [--seconds 120]      from capture to published event
    python scripts/bench_node.py soak [--frames 2000000]                    eight cameras as fast as they can be decoded

`--readers` measures the same with a thread a camera, OpenCV and the same model as well, as users write it.
Videos and a model (EfficientNet-Lite0, 160 px, int8, the whole picture) are made once and kept in `--folder`; see `bench_videos.py`. `--video` is
what the cameras show, in place of a rendered figure with noise. The machine should be quiet.
"""

import argparse
import itertools
import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from typing import Any

import av
import numpy as np
from rich.console import Console
from rich.table import Table

from bench_readers import watch_by_threads
from bench_videos import RATE_HZ, moving_video, quick_model, still_video
from node_process import Camera, Cost, NodeProcess, are_running, by_name
from streamvc.events import Event
from streamvc.inference.recognizer import Recognizer
from streamvc.node.status import Distribution, Snapshot
from streamvc.publish.cloudevents import decode
from streamvc.publish.log import query
from streamvc.publish.records import Criteria
from streamvc.testing import Corrupt, Die, Play, Refuse, ScriptedCamera, ScriptStep, Stall
from streamvc.types import Array, Frame

WARM_UP_S = 10.0
ENOUGH = 0.9  # of its rate, that a camera must get
BARE_FRAMES = 1500
SOAK_FPS, SOAK_SIZE, SOAK_FILE_S = 400, (320, 180), 120.0
SOAK_LOOK_S = 5.0

NUM_ON_SIDE = 2

Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class Span:
    """What was seen of a node at the beginning and at the end of some time."""

    seconds: float
    before: Snapshot
    after: Snapshot
    spent: Cost  # memory and numbers at the end
    node_s: float
    decoders_s: float

    def counted(self, name: str) -> dict[str, int]:
        """How much a count has grown, by camera."""
        earlier = by_name(self.before)
        return {camera.name: getattr(camera, name) - getattr(earlier[camera.name], name) for camera in self.after.cameras}

    def rates_hz(self) -> dict[str, float]:
        """Frames/s that were analysed, or known to show nothing new, by camera."""
        analysed, still = self.counted("analysed"), self.counted("still")
        return {name: (analysed[name] + still[name]) / self.seconds for name in analysed}

    def dropped(self) -> int:
        """Frames that were due and not used."""
        before, after = (sum(sum(camera.dropped.values()) for camera in snapshot.cameras) for snapshot in (self.before, self.after))
        return after - before


def observe(node: NodeProcess, seconds: float) -> Span:
    """Let a node run for so long."""
    begun, before, cost = time.monotonic(), node.status(), node.cost()
    time.sleep(seconds)
    after, spent = node.status(), node.cost()
    return Span(time.monotonic() - begun, before, after, spent, spent.node_s - cost.node_s, spent.decoders_s - cost.decoders_s)


def grown(before: Distribution, after: Distribution) -> Distribution:
    """What was counted in between."""
    counts = tuple(later - earlier for earlier, later in zip(before.counts, after.counts, strict=True))
    return Distribution(after.bounds_s, counts, after.sum_s - before.sum_s)


def quantile_ms(distribution: Distribution, share: float) -> str:
    """In steps of the histogram."""
    bound = distribution.quantile(share)
    return "-" if bound is None else f"<= {1e3 * bound:g}" if math.isfinite(bound) else f"> {1e3 * distribution.bounds_s[-1]:g}"


def watched(folder: Path, cameras: list[Camera], model: Path, **limits: object) -> NodeProcess:
    """A node in a new folder; all that is not said by a camera is what is measured. One connects after the other, as real ones are not in step."""
    defaults = {"models": [str(model)], "rate_hz": RATE_HZ, "motion": {"gate": False}}
    return NodeProcess(folder, cameras, defaults=defaults, limits={"connecting": 1, **limits})


def files(video: Path, number: int, **more: object) -> list[Camera]:
    return [{"name": f"camera-{index:02}", "source": str(video), **more} for index in range(number)]


def load(span: Span) -> Row:
    """How well a node kept up."""
    rates = span.rates_hz()
    age = grown(span.before.age, span.after.age)
    due = len(rates) * RATE_HZ * span.seconds
    return {
        "cameras": len(rates),
        "minutes": round(span.seconds / 60, 1),
        "Hz, lowest": round(min(rates.values()), 2),
        "Hz, median": round(median(rates.values()), 2),
        "below 90 %": sum(rate < ENOUGH * RATE_HZ for rate in rates.values()),
        "dropped %": round(100 * span.dropped() / due, 2),
        "age p50 ms": quantile_ms(age, 0.5),
        "age p99 ms": quantile_ms(age, 0.99),
        "oldest ms": quantile_ms(age, 1.0),
        "decoders' cores": round(span.decoders_s / span.seconds, 2),
        "node's cores": round(span.node_s / span.seconds, 2),
        "node MB": round(span.spent.node_mb),
        "decoders MB": round(span.spent.decoders_mb),
        "gaps": sum(span.counted("gaps").values()),
    }


def overhead(span: Span, video: Path, model: Path) -> Row:
    """The share of CPU that is neither decoding nor inference, by what these cost alone in two processes at once."""
    command = [sys.executable, __file__, "--bare", str(video), str(model)]
    bare = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
    costs = [json.loads(process.communicate()[0]) for process in bare]
    decode_s, infer_s = (mean(cost[name] for cost in costs) for name in ("decode_s", "infer_s"))
    needed_s = decode_s * sum(span.counted("received").values()) + infer_s * sum(span.counted("analysed").values())
    used_s = span.node_s + span.decoders_s
    return {
        "bare decoding ms": round(1e3 * decode_s, 2),
        "bare inference ms": round(1e3 * infer_s, 2),
        "else %": round(100 * (1 - needed_s / used_s), 1),
    }


def bare(video: str, model: str) -> None:
    """What decoding a frame (and making BGR of those that are due), and analysing one, costs by itself, in CPU seconds."""
    every = round(25 / RATE_HZ)
    images: list[Array] = []
    with av.open(video) as container:
        container.streams.video[0].codec_context.thread_count = 1
        begun = time.process_time()
        for number, frame in enumerate(itertools.islice(container.decode(video=0), BARE_FRAMES)):
            if number % every == 0:
                image = frame.to_ndarray(format="bgr24")
                images = [*images[-49:], image]
        decode_s = (time.process_time() - begun) / BARE_FRAMES
    recognizer = Recognizer.load(model)
    begun = time.process_time()
    for number in range(BARE_FRAMES // every):
        recognizer.step(Frame(number, number / RATE_HZ, images[number % len(images)]))
    print(json.dumps({"decode_s": decode_s, "infer_s": (time.process_time() - begun) / (BARE_FRAMES // every)}))


def cameras(arguments: argparse.Namespace, folder: Path) -> Iterator[Row]:
    """Paced files."""
    video = moving_video(arguments.folder, lasting(arguments), arguments.video)
    with watched(folder, files(video, arguments.cameras or 40), arguments.model, **limits(arguments)) as node:
        node.await_that(are_running)
        time.sleep(WARM_UP_S)
        span = observe(node, arguments.seconds or 600.0)
    yield {"": "node", **load(span), **overhead(span, video, arguments.model)}
    if arguments.readers:
        yield {"": "readers", **watch_by_threads(video, arguments.model, arguments.cameras or 40, span.seconds)}


def still(arguments: argparse.Namespace, folder: Path) -> Iterator[Row]:
    """Cameras that see nothing move, with the motion gate; resting, unless that is not wanted."""
    video = still_video(arguments.folder, lasting(arguments))
    motion = {"gate": True, "rest": not arguments.no_rest}
    with watched(folder, files(video, arguments.cameras or 100, motion=motion), arguments.model, **limits(arguments)) as node:
        node.await_that(are_running, 120.0)
        time.sleep(WARM_UP_S)
        span = observe(node, arguments.seconds or 120.0)
    analysed = sum(span.counted("analysed").values())
    still = sum(span.counted("still").values())
    yield {**load(span), "still %": round(100 * still / max(1, analysed + still), 1)}


def neighbours(arguments: argparse.Namespace, folder: Path) -> Iterator[Row]:
    """One of eight that fails, and the rate of the seven others."""
    video = moving_video(arguments.folder, lasting(arguments), arguments.video)
    scripts: dict[str, Callable[[], Iterator[ScriptStep]]] = {
        "stalled": lambda: iter([Play(3), Stall(math.inf)]),
        "dead": lambda: itertools.cycle([Play(3), Die(), Refuse(2)]),
        "corrupt": lambda: iter([Play(2), Corrupt(0.001), Play(math.inf)]),
    }
    for how in ("well", *scripts, *(["broken file"] if arguments.broken else [])):
        with ExitStack() as opened:
            source = str(arguments.broken if how == "broken file" else video)
            if how in scripts:
                source = opened.enter_context(ScriptedCamera(scripts[how](), size=(640, 360))).url
            seven = files(video, 7)
            node = opened.enter_context(watched(folder / how, [*seven, {"name": "eighth", "source": source, "loop": True}], arguments.model))
            node.await_that(lambda snapshot: all(camera.state == "running" for camera in snapshot.cameras if camera.name != "eighth"))
            time.sleep(WARM_UP_S)
            span = observe(node, arguments.seconds or 60.0)
        rates = span.rates_hz()
        eighth = rates.pop("eighth")
        counted: Row = {name: span.counted(name)["eighth"] for name in ("gaps", "deaths")}
        yield {
            "the eighth": how,
            "the others' Hz, lowest": round(min(rates.values()), 3),
            "mean": round(mean(rates.values()), 3),
            "its Hz": round(eighth, 2),
            **counted,
        }


def latency(arguments: argparse.Namespace, folder: Path) -> Iterator[Row]:
    """From the arrival of the deciding frame to the event on its way."""
    video = moving_video(arguments.folder, lasting(arguments), arguments.video)
    with watched(folder, files(video, arguments.cameras or 8), arguments.model, **limits(arguments)) as node:
        node.await_that(are_running)
        time.sleep(WARM_UP_S)
        since = time.time()
        span = observe(node, arguments.seconds or 120.0)
        events = [decode(message.body) for message in query(node.log, Criteria(start_s=since, kinds=["event"]))]
    timings = [event.timing for event in events if isinstance(event, Event) and event.reason in (None, "left")]
    shares = {"p50 ms": 0.5, "p99 ms": 0.99, "longest ms": 1.0}
    for stage in ("decoded_s", "features_s", "decided_s", "published_s"):
        values = [getattr(timing, stage) for timing in timings] or [math.nan]
        measured = {column: round(1e3 * float(np.quantile(values, share)), 1) for column, share in shares.items()}
        yield {"events until": stage.removesuffix("_s"), "number": len(timings), **measured}
    total = grown(span.before.latency["total"], span.after.latency["total"])
    yield {"events until": "(all frames)", "number": total.count, **{column: quantile_ms(total, share) for column, share in shares.items()}}


def soak(arguments: argparse.Namespace, folder: Path) -> Iterator[Row]:
    """Memory and latency while very many frames pass."""
    video = moving_video(arguments.folder, SOAK_FILE_S, arguments.video, size=SOAK_SIZE, fps=SOAK_FPS)
    with watched(folder, files(video, arguments.cameras or 8, loop=True), arguments.model, **limits(arguments)) as node:
        node.await_that(are_running)
        begun = time.monotonic()
        looks = [(node.status(), node.cost())]
        while received(looks[-1][0]) < arguments.frames:
            time.sleep(SOAK_LOOK_S)
            looks.append((node.status(), node.cost()))
    tenth = max(1, len(looks) // 10)
    for since, until in itertools.pairwise([0, tenth, len(looks) // 2, len(looks) - 1 - tenth, len(looks) - 1]):
        (earlier, _), (later, cost) = looks[since], looks[until]
        total = grown(earlier.latency["total"], later.latency["total"])
        yield {
            "frames": received(later),
            "minutes": round((later.time - looks[0][0].time) / 60, 1),
            "node MB": round(cost.node_mb, 1),
            "decoders MB": round(cost.decoders_mb, 1),
            "mean latency ms": round(1e3 * total.sum_s / max(1, total.count), 2),
            "p99 ms": quantile_ms(total, 0.99),
            "threads": cost.threads,
            "descriptors": cost.descriptors,
        }
    growth = looks[-1][1].node_mb - looks[tenth][1].node_mb
    yield {"frames": f"in {time.monotonic() - begun:.0f} s", "node MB": f"{growth:+.1f} since warm-up"}


def received(snapshot: Snapshot) -> int:
    return sum(camera.received for camera in snapshot.cameras)


def lasting(arguments: argparse.Namespace) -> float:
    """How long the videos have to be, in seconds: in steps, so that they can be used again."""
    return 60.0 * math.ceil(((arguments.seconds or 600.0) + 6 * WARM_UP_S) / 60.0)


def limits(arguments: argparse.Namespace) -> dict[str, Any]:
    return {"workers": arguments.workers, "threads": arguments.threads}


SCENES: Mapping[str, Callable[[argparse.Namespace, Path], Iterator[Row]]] = {
    scene.__name__: scene for scene in (cameras, still, neighbours, latency, soak)
}


def show(rows: list[Row], title: str) -> None:
    """Print rows as a table; on its side where there are few."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    on_side = len(rows) <= NUM_ON_SIDE
    table = Table(title=title, show_header=not on_side)
    for name in () if on_side else names:
        table.add_column(name)
    lines = [(name, *(row.get(name, "") for row in rows)) for name in names] if on_side else [[row.get(name, "") for name in names] for row in rows]
    for line in lines:
        table.add_row(*map(str, line))
    Console(width=160).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scene", choices=SCENES)
    parser.add_argument("--cameras", type=int)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--readers", action="store_true")
    parser.add_argument("--no-rest", action="store_true", help="decode what is still, too")
    parser.add_argument("--frames", type=int, default=2_000_000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1, help="of the runtime, in each worker")
    parser.add_argument("--folder", type=Path, default=Path("bench-node"), help="where videos and model are kept (default: bench-node)")
    parser.add_argument("--video", type=Path, help="what the cameras show")
    parser.add_argument("--model", help="a bundle in place of the one that is made")
    parser.add_argument("--broken", type=Path, help="a file that its decoder cannot survive")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    arguments.folder = arguments.folder.resolve()
    arguments.model = arguments.model or quick_model(arguments.folder)
    with tempfile.TemporaryDirectory() as folder:
        rows = list(SCENES[arguments.scene](arguments, Path(folder)))
    if arguments.json:
        print(json.dumps(rows))
    else:
        show(rows, arguments.scene)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--bare"]:
        bare(*sys.argv[2:])
    else:
        main()
