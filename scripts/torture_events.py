"""Kills, cuts and stops what publishes and what subscribes, and counts what is lost or doubled by it.

    python scripts/torture_events.py publisher-kills [--times 100]
    python scripts/torture_events.py subscriber-kills [--times 100]
    python scripts/torture_events.py cuts [--times 20]
    python scripts/torture_events.py stopped [--subscribers 50] [--seconds 60]
    python scripts/torture_events.py late-joiner [--cameras 200]

The truth is the publisher's log. A subscriber writes what it has to a table of its own, in the file of its cursor. Each command prints its figures as
one line of JSON, and leaves with code 1 if something was lost or doubled.
"""

import argparse
import json
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count, pairwise
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import psutil

from cable import CUTS, Cable
from streamvc.events import Decision, Event, Media, ModelInfo, State, StreamInfo, Timing, event_id
from streamvc.publish.cursor import Cursor
from streamvc.publish.log import query
from streamvc.publish.notices import Missed, Notice, PublisherLost
from streamvc.publish.publisher import Publisher
from streamvc.publish.records import Criteria
from streamvc.publish.subscriber import Subscriber

RATE_HZ = 200.0
NUM_CAMERAS = 4
NUM_PHASES = 20  # events of one activity
QUIET_S = 30.0  # without an event: that was all
LOST_S = 3.0  # three heartbeats
MARGIN_S = 1.5  # in which a notice must come, on a machine that does other things too

Had = list[tuple[str, int, int]]  # camera, epoch, sequence
Process = subprocess.Popen[str]


def event(camera: str, number: int) -> Event:
    """The next event of a camera that sees one activity after the other."""
    activity, step = divmod(number, NUM_PHASES)
    phase = "start" if step == 0 else "end" if step == NUM_PHASES - 1 else "update"
    now = time.time()
    return Event(
        event_id=event_id(camera, "", "fight", float(activity)),
        phase=phase,  # type: ignore[arg-type]
        camera=camera,
        label="fight",
        subject=None,
        score=0.86,
        top=(("fight", 0.86), ("normal", 0.09)),
        t_start=now,
        t_end=now if phase == "end" else None,
        stream_start_s=float(activity),
        stream_end_s=float(activity + step) if phase == "end" else None,
        duration_s=float(step) if step else None,
        count=None,
        reason="left" if phase == "end" else None,
        decision=Decision(0.7, 0.4, 0.5, 2.0, 0.6),
        timing=Timing(now, 0.0, 0.0, 0.0, None),
        stream=StreamInfo(25.0, 5.0, 0, 0.0, "arrival"),
        model=ModelInfo("torture", "1", "0"),
        media=Media(None, None),
        seq=None,
        epoch=None,
    )


def publish(endpoint: str, log: str, rate_hz: str, num_cameras: str) -> None:
    """A process that publishes until it is killed; at rate 0 it only answers."""
    with Publisher(endpoint, site="site", node="node", log=Path(log)) as publisher:
        print("ready", flush=True)
        begun = time.monotonic()
        for number in count():
            if float(rate_hz) == 0:
                signal.pause()
            time.sleep(max(0.0, begun + number / float(rate_hz) - time.monotonic()))
            step, camera = divmod(number, int(num_cameras))
            publisher.publish(event(f"camera {camera}", step))


def read(endpoint: str, path: str, quiet_s: str) -> None:
    """A process that writes down what it has, until there is no more; it prints a line at its first event, and the notices at last."""
    notices: list[tuple[float, Notice]] = []
    with Cursor(path) as cursor:
        cursor.connection.execute("CREATE TABLE IF NOT EXISTS had (camera, epoch, sequence)")
        subscriber = Subscriber(
            endpoint, since="beginning", cursor=cursor, timeout_s=float(quiet_s), on_notice=lambda notice: notices.append((time.time(), notice))
        )
        with subscriber:
            for number, had in enumerate(subscriber):
                if number == 0:
                    print("reading", flush=True)
                cursor.connection.execute("INSERT INTO had VALUES (?, ?, ?)", (had.camera, had.epoch, had.seq))
    missed = sum(notice.num_missing for _, notice in notices if isinstance(notice, Missed))
    print(json.dumps({"missed": missed, "notices": [[at, type(notice).__name__] for at, notice in notices]}))


def listen(endpoint: str, number: str) -> None:
    """A process of many subscribers; at each line it is told, it prints the latencies since the last one, in ms."""
    with ThreadPoolExecutor(int(number)) as pool:
        latencies: list[float] = []
        subscribers = [Subscriber(endpoint, on_notice=lambda _: None) for _ in range(int(number))]
        for subscriber in subscribers:
            pool.submit(subscriber.run, lambda had: latencies.append(1000 * (time.time() - had.timing.capture)))
        print("listening", flush=True)
        for _ in sys.stdin:
            measured, latencies[:] = latencies[:], []
            print(json.dumps([len(measured), *np.percentile(measured or [0.0], [50, 99])]), flush=True)
        for subscriber in subscribers:
            subscriber.close()


CHILDREN: dict[str, Callable[..., None]] = {"publish": publish, "read": read, "listen": listen}


@contextmanager
def process(name: str, *arguments: object) -> Iterator[Process]:
    """One of the above, killed at the end."""
    command = [sys.executable, __file__, name, *map(str, arguments)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        try:
            yield child
        finally:
            child.kill()


def await_line(child: Process) -> str:
    assert child.stdout is not None
    return child.stdout.readline()


def ask(child: Process) -> list[float]:
    assert child.stdin is not None
    child.stdin.write("\n")
    child.stdin.flush()
    measured: list[float] = json.loads(await_line(child))
    return measured


def verdict(log: Path, path: Path) -> dict[str, int]:
    """What is lost, doubled or out of order in what a reader had, by the log."""
    told = [(message.topic.camera, message.epoch, message.sequence) for message in query(log, Criteria(kinds=["event"]))]
    with sqlite3.connect(path) as connection:
        had: Had = connection.execute("SELECT camera, epoch, sequence FROM had ORDER BY rowid").fetchall()
    connection.close()
    per_camera = [[place for name, *place in had if name == camera] for camera in {camera for camera, *_ in had}]
    disorder = sum(later <= earlier for places in per_camera for earlier, later in pairwise(places))
    return {"events": len(told), "lost": len(set(told) - set(had)), "doubled": len(had) - len(set(had)), "out_of_order": disorder}


def finish(reader: Process) -> dict[str, Any]:
    """What a reader says once there is no more."""
    told: dict[str, Any] = json.loads(reader.communicate()[0].splitlines()[-1])
    return told


def publisher_kills(folder: Path, endpoint: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """The publisher is killed again and again, and started again at once; one subscriber hears them all."""
    log, path = folder / "events.db", folder / "had.db"
    with process("read", endpoint, path, QUIET_S) as reader:
        for _ in range(arguments.times):
            with process("publish", endpoint, log, RATE_HZ, NUM_CAMERAS) as publisher:
                await_line(publisher)
                time.sleep(random.uniform(0.05, 0.6))
        with process("publish", endpoint, log, 0, NUM_CAMERAS) as publisher:
            told = finish(reader)
    restarts = sum(name == "PublisherRestarted" for _, name in told["notices"])
    return {"kills": arguments.times, **verdict(log, path), "missed": told["missed"], "restarts_told": restarts}


def subscriber_kills(folder: Path, endpoint: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """A subscriber is killed again and again amid its events, and goes on from its cursor."""
    log, path = folder / "events.db", folder / "had.db"
    with process("publish", endpoint, log, RATE_HZ, NUM_CAMERAS) as publisher:
        await_line(publisher)
        for _ in range(arguments.times):
            with process("read", endpoint, path, QUIET_S) as reader:
                await_line(reader)
                time.sleep(random.uniform(0.0, 0.4))
    with process("publish", endpoint, log, 0, NUM_CAMERAS), process("read", endpoint, path, QUIET_S / 4) as reader:
        told = finish(reader)
    return {"kills": arguments.times, **verdict(log, path), "missed": told["missed"]}


def cuts(folder: Path, endpoint: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """The network between the two is cut in three ways, for up to twice the time that is called silence."""
    log, path = folder / "events.db", folder / "had.db"
    lengths: list[tuple[float, float]] = []
    with Cable(endpoint) as cable, process("read", cable.endpoint, path, QUIET_S) as reader:
        with process("publish", endpoint, log, RATE_HZ, NUM_CAMERAS) as publisher:
            await_line(publisher)
            await_line(reader)
            for number in range(arguments.times):
                time.sleep(random.uniform(0.5, 2.0))
                cable.cut(CUTS[number % len(CUTS)])
                begun = time.time()
                time.sleep(random.uniform(0.2, 2 * LOST_S))
                cable.mend()
                lengths.append((begun, time.time()))
            time.sleep(2 * LOST_S)
        with process("publish", endpoint, log, 0, NUM_CAMERAS):
            told = finish(reader)
    silences = [begun for begun, ended in lengths if ended - begun > LOST_S + MARGIN_S]
    lost = [at for at, name in told["notices"] if name == PublisherLost.__name__]
    unsaid = sum(not any(begun < at <= begun + LOST_S + MARGIN_S for at in lost) for begun in silences)
    return {"cuts": arguments.times, **verdict(log, path), "missed": told["missed"], "long_silences": len(silences), "unsaid": unsaid}


def stopped(folder: Path, endpoint: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Many subscribers, and one more that is stopped for a while: what it costs the others and the publisher, and whether it has all in the end."""
    log, path = folder / "events.db", folder / "had.db"
    with process("read", endpoint, path, arguments.seconds + QUIET_S) as victim, process("listen", endpoint, arguments.subscribers) as others:
        with process("publish", endpoint, log, arguments.rate, NUM_CAMERAS) as publisher:
            for child in (publisher, victim, others):
                await_line(child)
            time.sleep(5.0)
            ask(others)
            time.sleep(arguments.seconds / 2)
            before = ask(others)
            grown = -psutil.Process(publisher.pid).memory_info().rss
            victim.send_signal(signal.SIGSTOP)
            time.sleep(arguments.seconds)
            after = ask(others)
            grown += psutil.Process(publisher.pid).memory_info().rss
            victim.send_signal(signal.SIGCONT)
        with process("publish", endpoint, log, 0, NUM_CAMERAS):
            told = finish(victim)
    figures = {"p99_before_ms": round(before[2], 2), "p99_while_stopped_ms": round(after[2], 2), "publisher_grew_mb": round(grown / 1e6, 1)}
    return {"subscribers": arguments.subscribers, **figures, **verdict(log, path), "missed": told["missed"]}


def late_joiner(folder: Path, endpoint: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """How long it takes to know the state of all cameras."""
    taken = []
    with process("publish", endpoint, folder / "events.db", RATE_HZ, arguments.cameras) as publisher:
        await_line(publisher)
        time.sleep(2.0 + arguments.cameras / RATE_HZ)
        for _ in range(10):
            begun = time.monotonic()
            known: set[str] = set()
            states: Subscriber[State] = Subscriber(endpoint, kinds=["state"], timeout_s=QUIET_S)
            with states:
                for state in states:
                    known.add(state.camera)
                    if len(known) == arguments.cameras:
                        break
            taken.append(time.monotonic() - begun if len(known) == arguments.cameras else float("inf"))
    return {"cameras": arguments.cameras, "median_s": round(median(taken), 3), "max_s": round(max(taken), 3)}


SCENES = {"publisher-kills": publisher_kills, "subscriber-kills": subscriber_kills, "cuts": cuts, "stopped": stopped, "late-joiner": late_joiner}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scene", choices=SCENES)
    parser.add_argument("--times", type=int, help="how many kills (100) or cuts (20)")
    parser.add_argument("--subscribers", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long one is stopped")
    parser.add_argument("--rate", type=float, default=50.0, help="events a second, where one is stopped")
    parser.add_argument("--cameras", type=int, default=200)
    parser.add_argument("--port", type=int, default=17788)
    arguments = parser.parse_args()
    arguments.times = arguments.times or (20 if arguments.scene == "cuts" else 100)
    with tempfile.TemporaryDirectory() as folder:
        figures = SCENES[arguments.scene](Path(folder), f"tcp://127.0.0.1:{arguments.port}", arguments)
    print(json.dumps(figures))
    return int(any(figures.get(name) for name in ("lost", "doubled", "out_of_order", "missed", "unsaid")))


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1] in CHILDREN:
        CHILDREN[sys.argv[1]](*sys.argv[2:])
    else:
        sys.exit(main())
