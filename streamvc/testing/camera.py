"""A network camera that fails on script."""

import itertools
import math
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Literal, Self, assert_never

import numpy as np

from streamvc.testing.encoding import Encoder, damage
from streamvc.testing.pictures import moving_pattern
from streamvc.testing.script import Burst, Corrupt, Die, Freeze, Jump, Play, Refuse, Resize, ScriptStep, Stall
from streamvc.testing.viewers import Viewers
from streamvc.threads import Worker
from streamvc.types import Array

Scheme = Literal["tcp", "http"]

GREETINGS: dict[Scheme, bytes] = {"tcp": b"", "http": b"HTTP/1.0 200 OK\r\nContent-Type: video/mp2t\r\n\r\n"}


class ScriptedCamera:
    """Serves H.264 in MPEG-TS on loopback while its `with` block runs, by a script.

    The script's time passes while somebody watches (and while it refuses), so that no step goes unseen. After the last step the camera hangs up
    and is gone. A script may be endless (`itertools.cycle`), or a generator: what that does between two steps happens between them, in the
    camera's thread.

    Attributes:
        url: Where to watch it.
    """

    def __init__(
        self,
        script: Iterable[ScriptStep],
        *,
        pictures: Iterator[Array] | None = None,
        size: tuple[int, int] = (320, 240),
        fps: int = 25,
        scheme: Scheme = "tcp",
        port: int = 0,
    ) -> None:
        """Prepare a camera.

        Args:
            script: What it does.
            pictures: What it sees: (H, W, 3) uint8, BGR, of any size; when they end, the camera is gone. A pattern that moves if not given.
            size: Width and height of what it sends, in pixels, both even.
            fps: Pictures/s.
            scheme: By which protocol.
            port: Where it listens; a free one if 0.

        Raises:
            OSError: The port is taken.
        """
        self._viewers = Viewers(GREETINGS[scheme], port)
        self.url = f"{scheme}://127.0.0.1:{self._viewers.port}/"
        self._script = script
        self._pictures = moving_pattern() if pictures is None else pictures
        self._fps = fps
        self._size = size
        self._encoder = Encoder(size, fps)
        self._image: Array | None = None  # seen last
        self._due = 0.0  # time.monotonic() of the last picture
        self._time_s = 0.0  # of the script
        self._shift_s = 0.0  # from there to presentation times
        self._damaged = 0.0
        self._rng = np.random.default_rng(0)
        self._worker = Worker("camera", self._run, self._viewers.close)

    @property
    def num_connections(self) -> int:
        """How often somebody has connected so far."""
        return self._viewers.num_connections

    def __enter__(self) -> Self:
        self._worker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._worker.close()

    def _run(self) -> None:
        try:
            with suppress(StopIteration):  # nothing more to be seen
                for step in self._script:
                    self._do(step)
        finally:
            self._viewers.hang_up()
            self._encoder.close()

    def _do(self, step: ScriptStep) -> None:
        match step:
            case Play(seconds):
                for time_s in self._times(seconds):
                    self._image = next(self._pictures)
                    self._send([(time_s, self._image)], is_key=self._viewers.has_new)
            case Freeze(seconds):
                frozen = next(self._pictures) if self._image is None else self._image
                for time_s in self._times(seconds):
                    # A keyframe each time: what is made of another picture would differ from it in a few bits.
                    self._send([(time_s, frozen)], is_key=True)
            case Stall(seconds):
                for _ in self._times(seconds):
                    next(self._pictures)
            case Burst(seconds):
                held = [(time_s, next(self._pictures)) for time_s in self._times(seconds)]
                self._send(held, is_key=self._viewers.has_new)
            case Jump(seconds):
                self._shift_s += seconds
                self._encode_anew()
            case Resize(width, height):
                self._size = width, height
                self._encode_anew()
            case Corrupt(share):
                self._damaged = share
            case Die():
                self._viewers.await_one()
                self._viewers.reset()
            case Refuse(seconds):
                self._viewers.refuse(seconds)
            case _:
                assert_never(step)

    def _encode_anew(self) -> None:
        """What comes next does not follow from what was sent."""
        self._encoder.close()
        self._encoder = Encoder(self._size, self._fps)

    def _times(self, seconds: float) -> Iterator[float]:
        """The moments of the pictures of so many seconds, in script time, each when it has come."""
        num_pictures = seconds * self._fps
        for _ in itertools.count() if math.isinf(num_pictures) else range(round(num_pictures)):
            self._due = time.monotonic() if self._viewers.await_one() else self._due + 1 / self._fps
            self._viewers.wait(self._due - time.monotonic())
            self._time_s += 1 / self._fps
            yield self._time_s

    def _send(self, pictures: list[tuple[float, Array]], *, is_key: bool) -> None:
        """Encode pictures, each with its moment, and send them together; who is new has to begin with a keyframe."""
        data = b""
        for time_s, image in pictures:
            data += self._encoder.step(image, time_s + self._shift_s, is_key=is_key)
            is_key = False
        self._viewers.send(damage(data, self._damaged, self._rng) if self._damaged else data)
