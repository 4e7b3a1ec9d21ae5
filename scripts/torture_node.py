"""Breaks a node's cameras, and counts how soon they are back, what the others lose by it, and what leaks.

    python scripts/torture_node.py restarts [--times 50] [--cameras 8]      an RTSP server is killed and started again; needs GStreamer's
    python scripts/torture_node.py changes [--times 500] [--cameras 7]      a camera is added and removed
    python scripts/torture_node.py broken [--seconds 120] --broken FILE...  files that fail or kill their decoder, beside healthy cameras
    python scripts/torture_node.py kills                                    a camera's decoder crashes, hangs, and is set apart at last
    python scripts/torture_node.py script [--seconds 120]                   a camera that does all that cameras do, beside healthy ones

Videos and the model are those of `bench_node.py`, kept in the same `--folder`. Each prints a table, and leaves with code 1 if a bar is not reached.
"""

import argparse
import itertools
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from statistics import median

from bench_node import Row, files, lasting, observe, show, watched
from bench_videos import RATE_HZ, moving_video, quick_model
from node_process import Cost, NodeProcess, are_running, by_name
from streamvc.node.status import Snapshot
from streamvc.testing import Burst, Corrupt, Die, Freeze, Jump, Play, Refuse, Resize, ScriptedCamera, ScriptStep, Stall
from streamvc.testing.rtsp import PACKAGES, RtspServer, find_gstreamer

WARM_UP_S = 5.0
WARM_UP_TIMES = 5  # restarts and changes before things are counted: pools and caches fill
RECOVERY_S = 5.0
GROWTH_MB = 20.0
LOST_SHARE = 0.02  # of their rate, that the others may lose
DOWN_S = (0.2, 8.0)  # how long a server is away: shorter and longer than a camera's longest pause before it tries again
# As many deaths as set a camera apart; one that is stopped is a hang, and counts as none.
KILLS = (signal.SIGABRT, signal.SIGKILL, signal.SIGSTOP, signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS)

Bar = tuple[bool, str]  # whether it is reached, in words


def restarts(arguments: argparse.Namespace, folder: Path) -> Iterator[Row]:
    """How soon cameras are back once their server is, and what stays of each time."""
    python = find_gstreamer()
    if python is None:
        sys.exit(f"GStreamer's RTSP server is not installed (Debian: {PACKAGES})")
    names = [f"camera-{number}" for number in range(arguments.cameras or 8)]
    rng = random.Random(0)
    recoveries: list[float] = []
    with RtspServer(python, *names, login="me:s3cret") as server:
        cameras = [{"name": name, "source": server.url(name)} for name in names]
        with watched(folder, cameras, arguments.model, connecting=8) as node:  # as many at once as a node lets by itself
            node.await_that(are_running)
            before = node.cost()
            for number in range(arguments.times or 50):
                server.kill()
                time.sleep(rng.uniform(*DOWN_S))
                server.start()
                recoveries.append(recovery_s(node))
                if number == WARM_UP_TIMES:
                    before = node.cost()
            time.sleep(WARM_UP_S)
            after, snapshot = node.cost(), node.status()
        secret = "s3cret" in (folder / "node.log").read_text() or b"s3cret" in snapshot.to_json()
    yield {
        "restarts": len(recoveries),
        "back after s, median": round(median(recoveries), 2),
        "longest": round(max(recoveries), 2),
        f"above {RECOVERY_S:g} s": sum(recovery > RECOVERY_S for recovery in recoveries),
        **leaks(before, after),
        "bars": judge((max(recoveries) <= RECOVERY_S, "recovery"), (not secret, "no password in logs"), *leak_bars(before, after)),
    }


def recovery_s(node: NodeProcess) -> float:
    """How long it takes from now until all cameras give pictures that are analysed."""
    begun = time.monotonic()
    earlier = by_name(node.status())

    def are_back(snapshot: Snapshot) -> bool:
        return all(camera.state == "running" and camera.analysed > earlier[camera.name].analysed for camera in snapshot.cameras)

    node.await_that(are_back)
    return time.monotonic() - begun


def changes(arguments: argparse.Namespace, folder: Path) -> Iterator[Row]:
    """What cameras lose while another one comes and goes, beside what they lose when all is quiet."""
    video = moving_video(arguments.folder, lasting(arguments))
    others = files(video, arguments.cameras or 7, loop=True)
    with watched(folder, others, arguments.model) as node:
        node.await_that(are_running)
        time.sleep(WARM_UP_S)
        quiet = observe(node, arguments.seconds or 30.0)
        before, begun, started = node.cost(), time.monotonic(), node.status()
        for number in range(arguments.times or 500):
            node.write([*others, {"name": "guest", "source": str(video)}])
            node.reload()
            node.await_that(has_frames("guest"))
            node.write(others)
            node.reload()
            node.await_that(lambda snapshot: "guest" not in by_name(snapshot))
            if number == WARM_UP_TIMES:
                before = node.cost()
        seconds, ended, after = time.monotonic() - begun, node.status(), node.cost()
    analysed = {name: camera.analysed - by_name(started)[name].analysed for name, camera in by_name(ended).items()}
    dropped = sum(sum(camera.dropped.values()) for camera in ended.cameras) - sum(sum(camera.dropped.values()) for camera in started.cameras)
    gaps = sum(camera.gaps for camera in ended.cameras) - sum(camera.gaps for camera in started.cameras)
    lowest, quiet_hz = min(analysed.values()) / seconds, min(quiet.rates_hz().values())
    yield {
        "times": arguments.times or 500,
        "seconds each": round(seconds / (arguments.times or 500), 2),
        "others' Hz, lowest": round(lowest, 3),
        "when quiet": round(quiet_hz, 3),
        "dropped/min": round(60 * dropped / seconds, 2),
        "dropped/min, when quiet": round(60 * quiet.dropped() / quiet.seconds, 2),
        "gaps": gaps,
        **leaks(before, after),
        "bars": judge((lowest >= (1 - LOST_SHARE) * quiet_hz, "rate"), (gaps == 0, "no gaps"), *leak_bars(before, after)),
    }


def broken(arguments: argparse.Namespace, folder: Path) -> Iterator[Row]:
    """Files that cannot be read to their end, or that kill who reads them."""
    sources = [{"name": path.name, "source": str(path.resolve()), "loop": True} for path in arguments.broken]
    yield from beside(arguments, folder, sources)


def kills(arguments: argparse.Namespace, folder: Path) -> Iterator[Row]:
    """A decoder that crashes or hangs, until its camera is set apart; beside healthy cameras."""
    video = moving_video(arguments.folder, lasting(arguments))
    others = files(video, (arguments.cameras or 8) - 1)
    with watched(folder, others, arguments.model) as node:
        node.await_that(are_running)
        healthy = set(node.children())
        node.write([*others, {"name": "victim", "source": str(video)}])
        node.reload()
        node.await_that(has_frames("victim"))
        begun, started = time.monotonic(), node.status()
        for number, how in enumerate(KILLS, 1):
            for child in set(node.children()) - healthy:
                child.send_signal(how)
            killed = time.monotonic()
            noticed = by_name(node.await_that(lambda snapshot: by_name(snapshot)["victim"].state in ("stalled", "lost")))["victim"]
            row: Row = {"killed by": how.name, "noticed after s": round(time.monotonic() - killed, 2)}
            if number < len(KILLS):
                node.await_that(has_frames("victim", noticed.analysed))
                row["back after s"] = round(time.monotonic() - killed, 2)
            yield row | {"detail": noticed.detail}
        time.sleep(WARM_UP_S)
        seconds, ended = time.monotonic() - begun, by_name(node.status())
    rates = [(ended[camera["name"]].analysed - by_name(started)[camera["name"]].analysed) / seconds for camera in others]
    gaps = sum(ended[camera["name"]].gaps for camera in others)
    bars = judge((min(rates) >= (1 - LOST_SHARE) * RATE_HZ, "rate"), (gaps == 0, "no gaps"), (ended["victim"].state == "lost", "set apart"))
    yield {"killed by": "(the others)", "Hz": round(min(rates), 3), "gaps": gaps, "bars": bars}


def has_frames(name: str, more_than: int = 0) -> Callable[[Snapshot], bool]:
    """Whether a camera runs, and more of its frames were analysed than these."""

    def has(snapshot: Snapshot) -> bool:
        camera = by_name(snapshot).get(name)
        return camera is not None and camera.state == "running" and camera.analysed > more_than

    return has


def script(arguments: argparse.Namespace, folder: Path) -> Iterator[Row]:
    """One camera that does everything, again and again."""
    steps: list[ScriptStep] = [
        Play(3),
        Freeze(3),
        Play(2),
        Stall(7),
        Play(2),
        Burst(1),
        Play(2),
        Jump(30),
        Play(2),
        Jump(-60),
        Play(2),
        Resize(640, 480),
    ]
    steps += [Play(2), Resize(320, 240), Corrupt(0.002), Play(3), Corrupt(0), Play(3), Die(), Play(2), Refuse(3)]
    with ScriptedCamera(itertools.cycle(steps)) as camera:
        yield from beside(arguments, folder, [{"name": "scripted", "source": camera.url, "frozen_s": 2.0, "read_timeout_s": 3.0}])


def beside(arguments: argparse.Namespace, folder: Path, sources: list[dict[str, object]]) -> Iterator[Row]:
    """What these cameras cost healthy ones, eight in all."""
    healthy = files(moving_video(arguments.folder, lasting(arguments)), (arguments.cameras or 8) - len(sources))
    with watched(folder, [*healthy, *sources], arguments.model) as node:
        node.await_that(lambda snapshot: all(by_name(snapshot)[camera["name"]].state == "running" for camera in healthy))
        time.sleep(WARM_UP_S)
        span = observe(node, arguments.seconds or 120.0)
    rates, ended = span.rates_hz(), by_name(span.after)
    for source in sources:
        sick = ended[str(source["name"])]
        yield {
            "camera": sick.name,
            "state": sick.state,
            "Hz": round(rates.pop(sick.name), 2),
            "connections": sick.connections,
            "gaps": sick.gaps,
            "deaths": sick.deaths,
            "detail": sick.detail,
        }
    gaps, deaths = (sum(getattr(ended[name], count) for name in rates) for count in ("gaps", "deaths"))
    bars = judge((min(rates.values()) >= (1 - LOST_SHARE) * RATE_HZ, "rate"), (gaps + deaths == 0, "no gaps"))
    yield {"camera": f"the {len(rates)} others", "Hz": round(min(rates.values()), 3), "gaps": gaps, "deaths": deaths, "bars": bars}


def leaks(before: Cost, after: Cost) -> Row:
    """How much a node has grown."""
    names = ("threads", "processes", "descriptors")
    counts = {f"{name} more": getattr(after, name) - getattr(before, name) for name in names}
    return {**counts, "node MB more": round(after.node_mb - before.node_mb, 1), "decoders MB more": round(after.decoders_mb - before.decoders_mb, 1)}


def leak_bars(before: Cost, after: Cost) -> list[Bar]:
    """Of nothing that is counted more may be there than before; a few descriptors and threads come and go with those who ask."""
    return [
        (after.processes <= before.processes, "processes"),
        (after.threads <= before.threads + 2, "threads"),
        (after.descriptors <= before.descriptors + 4, "descriptors"),
        (after.node_mb - before.node_mb <= GROWTH_MB, "memory"),
    ]


def judge(*bars: Bar) -> str:
    """The bars that were not reached."""
    missed = [name for reached, name in bars if not reached]
    return f"MISSED: {', '.join(missed)}" if missed else "reached"


SCENES: Mapping[str, Callable[[argparse.Namespace, Path], Iterator[Row]]] = {
    scene.__name__: scene for scene in (restarts, changes, broken, kills, script)
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scene", choices=SCENES)
    parser.add_argument("--times", type=int)
    parser.add_argument("--cameras", type=int)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--broken", type=Path, nargs="+", default=[])
    parser.add_argument("--folder", type=Path, default=Path("bench-node"), help="where videos and model are kept (default: bench-node)")
    parser.add_argument("--model", help="a bundle in place of the one that is made")
    arguments = parser.parse_args()
    arguments.folder = arguments.folder.resolve()
    arguments.model = arguments.model or quick_model(arguments.folder)
    with tempfile.TemporaryDirectory() as folder:
        rows = list(SCENES[arguments.scene](arguments, Path(folder)))
    show(rows, arguments.scene)
    return int(any("MISSED" in str(row.get("bars")) for row in rows))


if __name__ == "__main__":
    sys.exit(main())
