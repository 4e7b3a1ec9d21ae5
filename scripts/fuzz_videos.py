"""Inputs for `fuzz.py`: damaged videos, read by real decoder processes.

A decoder may die of a video. It may not hang, nor take more memory than it may, nor end the process that all are forked from.
"""

import random
import selectors
import tempfile
import time
from contextlib import suppress
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import numpy as np
import psutil
from av.video.stream import VideoStream

from fuzz import Kind
from streamvc.capture.messages import Arrived, CaptureSettings, Finished, MotionSettings, Opened
from streamvc.errors import SourceError
from streamvc.node.decoder import ProcessDecoder
from streamvc.node.decoding import MEMORY_BYTES
from streamvc.node.fork_server import DecoderForkServer

CODECS = {"mp4": "libx264", "mov": "mpeg4", "mkv": "libx264", "ts": "libx264", "avi": "mpeg4", "mjpeg": "mjpeg", "h264": "libx264", "flv": "libx264"}
# The least, the most, -1, and the sizes 16000 x 2 and 12000 x 9000, as headers tell them.
TOLD = (b"\x00", b"\xff", b"\x7f\xff\xff\xff", b"\x80\x00\x00\x00", b"\xff\xff\xff\xff", bytes(4), b"\x3e\x80\x00\x02", b"\x2e\xe0\x23\x28")
LONGEST_S = 60.0  # for one video of a second, on a busy machine
SLACK_BYTES = 200 << 20  # of libraries, and of pictures that are shared


def videos() -> Kind:
    """Videos with something wrong in each, behind a line with the suffix of their file."""
    whole = [(suffix, _video(suffix, codec)) for suffix, codec in CODECS.items()]

    def make(rng: random.Random) -> bytes:
        suffix, data = rng.choice(whole)
        mutant = bytearray(data)
        for _ in range(rng.choice((1, 1, 2, 5, 20, 100))):
            _mutate(mutant, rng)
        return suffix.encode() + b"\n" + (mutant or b"\0")

    def use(path: Path) -> None:
        suffix, _, data = path.read_bytes().partition(b"\n")
        video = path.with_suffix(f".{suffix.decode()}")
        video.write_bytes(data)
        fork_server, process = _fork_server()
        try:
            reason = read(fork_server, video)
        finally:
            video.unlink()
        assert psutil.Process().children()[0].pid == process, "it has ended the process that all decoders are forked from"
        if reason != "end_of_stream":
            raise SourceError(reason)

    return Kind(make, use, "video", timeout_s=2 * LONGEST_S)


@cache
def _fork_server() -> tuple[DecoderForkServer, int]:
    fork_server = DecoderForkServer()
    return fork_server, psutil.Process().children()[0].pid


def _mutate(data: bytearray, rng: random.Random) -> None:
    """One change: a bit, a number, a piece that is gone, twice or elsewhere."""
    near_an_end = rng.random() < 0.5  # where headers and indices are
    place = rng.randrange(min(len(data), 2048)) if near_an_end else rng.randrange(len(data))
    place = len(data) - 1 - place if near_an_end and rng.random() < 0.5 else place
    length = rng.choice((1, 4, 16, 256, 4096))
    match rng.randrange(6):
        case 0:
            data[place] ^= 1 << rng.randrange(8)
        case 1:
            told = rng.choice(TOLD)
            data[place : place + len(told)] = told
        case 2:
            data[place : place + length] = rng.randbytes(length)
        case 3 if len(data) > 2 * length:
            del data[place : place + length]
        case 4:
            data[place:place] = data[place : place + length]
        case 5 if place > 64:
            del data[place:]


def _video(suffix: str, codec: str) -> bytes:
    """A second of somebody grey."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"whole.{suffix}")
        with av.open(str(path), "w") as output:
            stream = output.add_stream(codec, rate=10)
            assert isinstance(stream, VideoStream)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p" if codec == "mjpeg" else "yuv420p"
            for number in range(10):
                frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 20 * number, np.uint8), format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, 10)
                output.mux(stream.encode(frame))
            output.mux(stream.encode(None))
        return path.read_bytes()


def read(fork_server: DecoderForkServer, path: Path) -> str:
    """How a video ended. A decoder that hangs, or takes too much, is a failure.

    Raises:
        AssertionError: It failed.
    """
    settings = CaptureSettings("fuzzed", str(path), (5.0,), motion=MotionSettings(gate=False), frozen_s=0.0, play="unpaced")
    decoder = ProcessDecoder(fork_server, settings)
    begun, peak_bytes = time.monotonic(), 0
    with selectors.DefaultSelector() as selector:
        selector.register(decoder, selectors.EVENT_READ)
        while time.monotonic() - begun < LONGEST_S:
            selector.select(0.05)
            with suppress(psutil.NoSuchProcess):
                peak_bytes = max(peak_bytes, psutil.Process(decoder.pid).memory_info().rss if decoder.pid else 0)
            for said in decoder.receive():
                match said:
                    case Finished(reason, detail):
                        decoder.close()
                        assert peak_bytes < MEMORY_BYTES + SLACK_BYTES, f"it took {peak_bytes >> 20} MiB"
                        assert "nonsense" not in detail, detail
                        return reason
                    case Arrived():
                        assert said.frame is None or said.frame.image.size
                        said.release()
                    case Opened():
                        pass
    decoder.close()
    raise AssertionError(f"it hung for {LONGEST_S:g} s")
