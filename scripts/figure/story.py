"""Clips of the figure, frame by frame: one activity, or a story of several."""

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from figure.body import stand_up
from figure.camera import Film, random_view
from figure.look import Look, random_look
from figure.manner import random_manner
from figure.outfit import dress
from figure.room import Room, random_room
from figure.shading import picture, set_scene
from figure.stage import Act, pose_at, random_stage, timeline


def render_clip(
    activity: str, seed: int, seconds: float, fps: float = 25.0, size: tuple[int, int] = (640, 480), take: int = 0
) -> Iterator[NDArray[np.uint8]]:
    """Frames of one activity (or one of `IDLE`), beginning anywhere in its cycle.

    Args:
        activity: One of `ACTIVITIES` or `IDLE`.
        seed: The person and the room.
        seconds: Length.
        fps: Frames a second.
        size: (width, height) in pixels.
        take: Varies camera, tempo and manner of the same person in the same room.

    Yields:
        (H, W, 3) uint8 images, blue, green, red; the same ones for the same arguments.
    """
    yield from _render(timeline([(activity, seconds)]), seed, take, fps, size, phase=None)


def render_story(
    parts: Sequence[tuple[str, float]], seed: int, fps: float = 25.0, size: tuple[int, int] = (640, 480), take: int = 0
) -> Iterator[NDArray[np.uint8]]:
    """Frames of several activities in a row, each (name, seconds), that blend into one another; see `render_clip`."""
    yield from _render(timeline(parts), seed, take, fps, size, phase=0.0)


@lru_cache(maxsize=1)  # several clips of one person and room are often rendered in a row
def _cast(seed: int) -> tuple[Look, Room]:
    rng = np.random.default_rng([seed, 1])
    return random_look(rng), random_room(rng)


def _render(acts: Sequence[Act], seed: int, take: int, fps: float, size: tuple[int, int], phase: float | None) -> Iterator[NDArray[np.uint8]]:
    look, room = _cast(seed)
    rng = np.random.default_rng([seed, 2, take])
    view = random_view(rng, look, size)
    stage = random_stage(rng, view, size)
    manners = [random_manner(rng, phase) for _ in acts]
    scene = set_scene(room, view, size)
    film = Film(rng, size)
    for number in range(round(acts[-1].end_s * fps)):
        pose = pose_at(number / fps, acts, manners, stage, look.build.height)
        solids = [] if pose is None else dress(stand_up(pose, look.build), look, pose.place)
        yield film.develop(picture(scene, solids, look.palette), number / fps)
