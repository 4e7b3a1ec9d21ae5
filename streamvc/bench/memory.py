"""Memory and CPU time of a long `streamvc watch --headless`, in a process of its own."""

import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import av
import psutil

from streamvc.bench.start import STREAMVC
from streamvc.errors import StreamvcError

SAMPLE_S = 0.25
MB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """Resident memory and CPU time of the process; `growth_mb` compares the last tenth of its life with the second."""

    peak_mb: float
    growth_mb: float
    num_frames: int
    cpu_ms: float


@dataclass(frozen=True, slots=True)
class _Usage:
    rss_mb: float
    cpu_s: float


def measure_memory(clip: Path, model: str, runtime: str | None, threads: int, num_frames: int) -> MemoryUse:
    """Watch a file of `num_frames` frames, made of the clip again and again, and look at the process from outside.

    Raises:
        StreamvcError: `watch` failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        long_clip = Path(folder) / "long.mkv"
        num_frames = repeat_clip(clip, long_clip, num_frames)
        chosen = ["--runtime", runtime] if runtime else []
        command = [*STREAMVC, "watch", str(long_clip), "--model", model, "--threads", str(threads), *chosen, "--headless", "--no-publish"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
            usages = list(_sample(process))
            said = process.stderr.read() if process.stderr else ""
        if process.returncode:
            raise StreamvcError(f"watch failed: {said.strip()}")
    num_analysed = int(said.split(" analysed")[0].split()[-1])
    rss = [usage.rss_mb for usage in usages]
    tenth = max(1, len(rss) // 10)
    growth_mb = median(rss[-tenth:]) - median(rss[tenth : 2 * tenth] or rss)
    return MemoryUse(max(rss), growth_mb, num_frames, usages[-1].cpu_s / num_analysed * 1e3)


def _sample(process: "subprocess.Popen[str]") -> Iterator[_Usage]:
    watched = psutil.Process(process.pid)
    while process.poll() is None:
        with watched.oneshot():
            cpu = watched.cpu_times()
            if watched.status() != psutil.STATUS_ZOMBIE:
                yield _Usage(watched.memory_info().rss / MB, cpu.user + cpu.system)
        time.sleep(SAMPLE_S)


def repeat_clip(clip: Path, out: Path, num_frames: int) -> int:
    """Write the clip's encoded frames again and again, without decoding, until there are at least `num_frames`; returns how many there are."""
    written = 0
    with av.open(str(out), "w") as target:
        stream = None
        offset = 0
        while written < num_frames:
            with av.open(str(clip)) as source:
                video = source.streams.video[0]
                stream = stream or target.add_stream_from_template(video)
                end = 0
                for packet in source.demux(video):
                    if packet.dts is None or packet.pts is None:
                        continue
                    end = max(end, packet.pts + (packet.duration or 1))
                    packet.pts += offset
                    packet.dts += offset
                    packet.stream = stream
                    target.mux(packet)
                    written += 1
                offset += end
    return written
