"""Small rendered clips: a square that crosses the picture, jumps up and down in it, or rests."""

from collections.abc import Collection
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

FPS = 10
WIDTH, HEIGHT, SIDE = 160, 120, 44
ACTIONS = ("cross", "jump")


def render(path: Path, action: str, actor: int, seconds: float = 3.0, missing: Collection[int] = ()) -> None:
    """Write a clip of an action; the actor gives the colours, the size and the speed. The frames with the numbers `missing` are left out."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=FPS)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = WIDTH, HEIGHT, "yuv420p", 400_000
        for number in sorted(set(range(round(seconds * FPS))) - set(missing)):
            frame = av.VideoFrame.from_ndarray(_picture(action, actor, number / FPS), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def render_all(root: Path, num_actors: int = 4) -> Path:
    """A folder per action, with a clip of each actor; the names have groups like those of UCF101."""
    for action in ACTIONS:
        for actor in range(num_actors):
            render(root / action / f"v_{action}_g{actor:02}_c01.mp4", action, actor)
    return root


def _picture(action: str, actor: int, t: float) -> NDArray[np.uint8]:
    rng = np.random.default_rng(actor)
    background, colour = rng.integers(0, 110, 3), rng.integers(140, 256, 3)
    speed, side = rng.uniform(0.8, 1.2), SIDE + 4 * actor
    picture = np.full((HEIGHT, WIDTH, 3), background, np.uint8)
    phase = (speed * t) % 2
    swing = 0.5 if action == "rest" else 1 - abs(1 - phase)  # 0 to 1 and back
    left, top = ((WIDTH - side) * swing, (HEIGHT - side) / 2) if action == "cross" else ((WIDTH - side) / 2, (HEIGHT - side) * swing)
    picture[round(top) : round(top) + side, round(left) : round(left) + side] = colour
    return picture
