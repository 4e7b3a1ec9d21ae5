"""Real decoder processes, and what they say."""

import selectors
import socket
import time
from collections.abc import Callable, Iterator

import psutil

from streamvc.capture.messages import Arrived, CaptureSettings, Due, Finished, MotionSettings, Opened
from streamvc.node.decoder import Decoder, ProcessDecoder, Said
from streamvc.node.decoding import MAX_SETTINGS_BYTES
from streamvc.node.fork_server import DecoderForkServer, Orphan

UNGATED = MotionSettings(gate=False)
DEADLINE_S = 30.0  # for a busy machine


def forker() -> psutil.Process:
    """The fork_server's process."""
    return next(child for child in psutil.Process().children() if "streamvc.node.forking" in child.cmdline())


def settings(source: object, **options: object) -> CaptureSettings:
    return CaptureSettings("yard", str(source), **({"rates_hz": (5.0,), "play": "unpaced", "motion": UNGATED, "frozen_s": 0.0} | options))  # type: ignore[arg-type]


def heard(decoder: Decoder, until: Callable[[Said], bool] = lambda said: isinstance(said, Finished)) -> Iterator[Said]:
    """What a decoder says, up to what is waited for."""
    deadline = time.monotonic() + DEADLINE_S
    with selectors.DefaultSelector() as selector:
        selector.register(decoder, selectors.EVENT_READ)
        while True:
            assert selector.select(deadline - time.monotonic()), "it said nothing more"
            for said in decoder.receive():
                yield said
                if until(said):
                    return


def read(fork_server: DecoderForkServer, source: object, **options: object) -> list[Said]:
    """All that a decoder says of a source; pictures are copied and given back."""
    decoder = ProcessDecoder(fork_server, settings(source, **options))
    said = []
    for word in heard(decoder):
        said.append(word)
        if isinstance(word, Arrived):
            word.release()
    decoder.close()
    return said


def arrivals(said: list[Said]) -> list[Arrived]:
    return [word for word in said if isinstance(word, Arrived)]


def gone(pid: int) -> bool:
    """Wait for the end of a process that is no child of this one."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:  # dead, and nobody has asked how
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.01)
    return False


class Puppeteer(DecoderForkServer):
    """Its decoders say what they are made to. There is no process."""

    def __init__(self) -> None:
        self.puppet: socket.socket

    def close(self) -> None:
        self.puppet.close()

    def fork(self, connection: socket.socket) -> None:
        self.puppet = connection.dup()
        self.puppet.recv(MAX_SETTINGS_BYTES)

    def register(self, decoder: Orphan) -> None:
        """There is no process that could hang."""


OPENED = Opened((64, 48), (64, 48), 25.0, "h264", True, 12.0)
NOW = time.monotonic()
DUE = Due(0, None, True, 0, 0.0, 0, "pts", NOW, NOW, None, 1, 0, 0)
