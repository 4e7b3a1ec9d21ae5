"""Measures what publishing costs: how many events a second with the log on, and how much later an event is for being kept and sent.

    python scripts/bench_events.py [--rounds 5] [--no-log]

Events are published from one thread; one subscriber, a bare ZeroMQ socket in another process, notes when each arrives. Medians of the rounds are
printed. The machine should be quiet.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path
from statistics import median

import numpy as np
import zmq

from streamvc.events import Decision, Event, Media, ModelInfo, StreamInfo, Timing
from streamvc.publish.cloudevents import encode
from streamvc.publish.log import EventLog
from streamvc.publish.publisher import Publisher
from streamvc.publish.wire import Message, Topic

CAMERAS = tuple(f"camera {number}" for number in range(8))
NUM_FAST = 20_000  # events as fast as can be
NUM_PACED, PACED_HZ = 2_000, 200.0  # and at the pace of a busy site
JOIN_S = 20.0
EVENT = Event(
    event_id="01JD7QXK3B0000000000000000",
    phase="update",
    camera="",
    label="PushUps",
    subject=None,
    score=0.86,
    top=(("PushUps", 0.86), ("WallPushups", 0.09), ("Lunges", 0.02)),
    t_start=1795289575.12,
    t_end=None,
    stream_start_s=12.4,
    stream_end_s=None,
    duration_s=1.0,
    count=None,
    reason=None,
    decision=Decision(enter=0.7, leave=0.4, min_s=0.5, cooldown_s=2.0, smoothing_s=0.6),
    timing=Timing(capture=0.0, decoded_s=0.0, features_s=0.0, decided_s=0.0, published_s=None),
    stream=StreamInfo(fps_in=25.0, rate_hz=5.0, dropped=3, gap_s=0.0, clock="pts"),
    model=ModelInfo("exercise", "1", "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8"),
    media=Media(snapshot=None, clip=None),
    seq=None,
    epoch=None,
)


@dataclass(frozen=True, slots=True)
class Round:
    """Events/s until the publisher had kept them all and until the subscriber had them all; milliseconds that each was later."""

    published_hz: float
    received_hz: float
    call_ms: tuple[float, float, float]  # p50, p99 and the longest, of `publish`
    added_ms: tuple[float, float, float]  # from the call of `publish` to the subscriber
    log_ms: tuple[float, float, float]  # of the log alone


def measure(folder: Path, logged: bool) -> Round:
    with Publisher("tcp://127.0.0.1:*", log=folder / "events.db" if logged else None) as publisher:
        with subscriber(publisher.endpoint, NUM_FAST) as process:
            assert publisher.wait_for_subscriber(JOIN_S)
            begun = time.time()
            publish(publisher, NUM_FAST, 0.0)
            published_s = time.time() - begun
            arrivals = arrived(process)
        with subscriber(publisher.endpoint, NUM_PACED) as process:
            assert publisher.wait_for_subscriber(JOIN_S)
            called = publish(publisher, NUM_PACED, 1 / PACED_HZ)
            later = arrived(process) - called[:, 0]
    return Round(
        NUM_FAST / published_s,
        NUM_FAST / (arrivals[-1] - begun),
        spread(called[:, 1]),
        spread(later),
        log_alone(folder / "alone.db" if logged else None),
    )


def publish(publisher: Publisher, number: int, interval_s: float) -> np.ndarray:
    """When each call was made, and how long it took, in seconds."""
    events = [replace(EVENT, camera=camera, timing=replace(EVENT.timing, capture=time.time())) for camera in CAMERAS]
    calls = []
    due = time.monotonic()
    for event in islice(cycle(events), number):
        due += interval_s
        if interval_s:
            time.sleep(max(0.0, due - time.monotonic()))
        begun, clock = time.time(), time.perf_counter()
        publisher.publish(event)
        calls.append((begun, time.perf_counter() - clock))
    return np.array(calls)


def log_alone(path: Path | None) -> tuple[float, float, float]:
    took = []
    with EventLog(path) as log:
        for sequence in range(1, NUM_PACED + 1):
            event = replace(EVENT, camera="camera", seq=sequence, epoch=log.epoch)
            message = Message(
                Topic("site", "camera", "event", "PushUps"), sequence, log.epoch, encode(event, site="site", node="node", time=time.time())
            )
            begun = time.perf_counter()
            log.append(message, event)
            took.append(time.perf_counter() - begun)
    return spread(np.array(took))


def spread(seconds: np.ndarray) -> tuple[float, float, float]:
    p50, p99, longest = np.percentile(seconds, [50, 99, 100]) * 1e3
    return float(p50), float(p99), float(longest)


def subscriber(endpoint: str, number: int) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, __file__, "--receive", endpoint, str(number)], stdout=subprocess.PIPE, text=True)


def arrived(process: "subprocess.Popen[str]") -> np.ndarray:
    assert process.stdout is not None
    return np.array(json.loads(process.stdout.read()))


def receive(endpoint: str, number: int) -> None:
    """What the other process does: print when each event came, in Unix seconds."""
    with zmq.Context() as context, context.socket(zmq.SUB) as socket:
        socket.set(zmq.RCVHWM, 0)
        for camera in CAMERAS:
            socket.subscribe(f"sv1/site/{camera.replace(' ', '%20')}/event/".encode())
        socket.connect(endpoint)
        times = []
        for _ in range(number):
            socket.recv_multipart()
            times.append(time.time())
    print(json.dumps(times))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-log", action="store_true", help="keep events in memory only")
    parser.add_argument("--receive", nargs=2, metavar=("ENDPOINT", "NUMBER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.receive:
        receive(arguments.receive[0], int(arguments.receive[1]))
        return
    rounds = []
    for _ in range(arguments.rounds):
        with tempfile.TemporaryDirectory() as folder:
            rounds.append(measure(Path(folder), not arguments.no_log))
    print(f"publish rate       {median(done.published_hz for done in rounds):8.0f} events/s (bar: 5000)")
    print(f"rate at subscriber {median(done.received_hz for done in rounds):8.0f} events/s")
    for name, figures in (
        ("publish()", [done.call_ms for done in rounds]),
        ("to a subscriber", [done.added_ms for done in rounds]),
        ("the log alone", [done.log_ms for done in rounds]),
    ):
        p50, p99, longest = np.median(np.array(figures), axis=0)
        print(f"{name:18} p50 {p50:6.3f} ms, p99 {p99:6.3f} ms, longest {longest:6.2f} ms (bar: 1 and 10)")


if __name__ == "__main__":
    main()
