"""Clips of the figure, frame by frame: one activity, or a story of several."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from streamvc.testing.figure import motion
from streamvc.testing.figure.look import Look, random_look
from streamvc.testing.figure.motion import Manner, Motion, random_manner, stride
from streamvc.testing.figure.outfit import dress
from streamvc.testing.figure.body import stand_up
from streamvc.testing.figure.pose import Pose, ease, mix
from streamvc.testing.figure.raster import View, look_at
from streamvc.testing.figure.room import random_room
from streamvc.testing.figure.shading import picture, set_scene
from streamvc.types import Array

BACKGROUND = "nothing"
ACTIVITIES: dict[str, Motion] = {
    "Boxing": motion.boxing,
    "JumpingJack": motion.jumping_jack,
    "Lunge": motion.lunge,
    "Squat": motion.squat,
    "Wave": motion.wave,
}
IDLE = ("empty", "stand", "enter", "leave", "cross")
BLEND_S = 0.45
WALK_M_S = 1.15
GAMMA = 1 / 2.2


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """Where the figure is: its spot (right, towards the camera), its heading there, and how far to the side it is out of sight, in metres."""

    spot: Array
    yaw: float
    edge: float


@dataclass(frozen=True, slots=True)
class Act:
    """One part of a story: an activity or one of `IDLE`, in seconds from the story's start."""

    name: str
    start_s: float
    end_s: float

    @property
    def label(self) -> str:
        """The activity, or the background label."""
        return self.name if self.name in ACTIVITIES else BACKGROUND


def timeline(parts: Sequence[tuple[str, float]]) -> list[Act]:
    """The acts of a story given as (name, seconds)."""
    unknown = {name for name, _ in parts} - set(ACTIVITIES) - set(IDLE)
    if unknown:
        raise ValueError(f"unknown act {', '.join(sorted(unknown))}; there are {', '.join((*ACTIVITIES, *IDLE))}")
    ends = np.cumsum([seconds for _, seconds in parts])
    return [Act(name, float(end - seconds), float(end)) for (name, seconds), end in zip(parts, ends, strict=True)]


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


def _render(acts: Sequence[Act], seed: int, take: int, fps: float, size: tuple[int, int], phase: float | None) -> Iterator[NDArray[np.uint8]]:
    cast = np.random.default_rng([seed, 1])
    look, room = random_look(cast), random_room(cast)
    rng = np.random.default_rng([seed, 2, take])
    view = _random_view(rng, look, size)
    stage = _random_stage(rng, view, size)
    manners = [random_manner(rng, phase) for _ in acts]
    scene = set_scene(room, view, size)
    develop = _Film(rng, size)
    for number in range(round(acts[-1].end_s * fps)):
        pose = pose_at(number / fps, acts, manners, stage, look)
        solids = [] if pose is None else dress(stand_up(pose, look.build), look, pose.place)
        yield develop(picture(scene, solids, look.palette), number / fps)


def _random_view(rng: np.random.Generator, look: Look, size: tuple[int, int]) -> View:
    """A camera at webcam to ceiling-corner height that sees the whole figure."""
    width, height = size
    focal = rng.uniform(0.85, 1.15) * width
    fill = rng.uniform(0.50, 0.70)  # of the picture's height, by the figure
    distance = focal * look.build.height / (fill * height)
    around = np.radians(rng.uniform(-9, 9))
    position = np.array([distance * np.sin(around), rng.uniform(0.8, 2.0), distance * np.cos(around)])
    target = np.array([rng.uniform(-0.25, 0.25), look.build.height * rng.uniform(0.50, 0.62), 0.0])
    return View(position, look_at(position, target), focal, np.array([width / 2, height / 2]))


def _random_stage(rng: np.random.Generator, view: View, size: tuple[int, int]) -> Stage:
    yaw = float(rng.choice([-1, 1]) * rng.triangular(0, 10, 60))
    edge = (size[0] / 2) / view.focal_px * float(np.linalg.norm(view.position)) + 0.75
    return Stage(np.array([rng.uniform(-0.2, 0.2), rng.uniform(-0.25, 0.25)]), yaw, edge)


def pose_at(t: float, acts: Sequence[Act], manners: Sequence[Manner], stage: Stage, look: Look) -> Pose | None:
    """The posture at a time of the story; None while nobody is there."""
    now = next((i for i, act in enumerate(acts) if t < act.end_s), len(acts) - 1)
    pose = _perform(acts[now], manners[now], t, stage, look)
    since = t - acts[now].start_s
    if pose is None or now == 0 or since >= BLEND_S:
        return pose
    before = _perform(acts[now - 1], manners[now - 1], t, stage, look)
    return pose if before is None else mix(before, pose, ease(since / BLEND_S))


def _perform(act: Act, manner: Manner, t: float, stage: Stage, look: Look) -> Pose | None:
    since = t - act.start_s
    if act.name == "empty":
        return None
    if act.name in ("enter", "leave", "cross"):
        return _walk(act, since, manner, stage, look)
    moves = ACTIVITIES.get(act.name, motion.stand)
    return replace(moves(since, manner), place=stage.spot, yaw=stage.yaw)


def _walk(act: Act, since: float, manner: Manner, stage: Stage, look: Look) -> Pose:
    """In from one side to the spot, out from it, or all the way through."""
    side = -1.0 if manner.side else 1.0
    edge, height = np.array([side * stage.edge, stage.spot[1]]), look.build.height
    if act.name == "cross":
        along = since * WALK_M_S * manner.tempo
        return replace(stride(along / height, manner), place=edge - [side * along, 0.0], yaw=-side * 90.0)
    share = min(max(since / (act.end_s - act.start_s), 0.0), 1.0)
    come = 1.0 - (1.0 - share) ** 1.6 if act.name == "enter" else 1.0 - share**1.6
    turned = ease((share - 0.72) / 0.28) if act.name == "enter" else ease(share / 0.25)
    place = edge + (stage.spot - edge) * come
    pose = stride(float(np.linalg.norm(place - (edge if act.name == "enter" else stage.spot))) / height, manner)
    if act.name == "enter":
        pose = mix(pose, Pose(), ease((share - 0.80) / 0.20))
        return replace(pose, place=place, yaw=-side * 90.0 * (1 - turned) + stage.yaw * turned)
    return replace(pose, place=place, yaw=stage.yaw * (1 - turned) + side * 90.0 * turned)


class _Film:
    """Turns linear colours into the bytes of a camera: brightness that wanders a little, gamma, noise, a slight shake."""

    def __init__(self, rng: np.random.Generator, size: tuple[int, int]) -> None:
        self._rng = rng
        self._gain = rng.uniform(0.9, 1.1)
        self._flicker = rng.uniform(0.0, 0.02), rng.uniform(0.2, 1.5), rng.uniform(0, 6.28)
        noise = rng.normal(0.0, rng.uniform(0.4, 2.5), (size[1] + 64, size[0] + 64, 1))
        self._noise = noise.astype(np.float32)
        self._size = size

    def __call__(self, image: Array, t: float) -> NDArray[np.uint8]:
        strength, frequency, phase = self._flicker
        gain = self._gain * (1.0 + strength * np.sin(6.28 * frequency * t + phase))
        x, y = self._rng.integers(0, 64, 2)
        width, height = self._size
        codes = 255.0 * np.power(np.clip(image * np.float32(gain), 0.0, 1.0), GAMMA) + self._noise[y : y + height, x : x + width]
        return np.clip(codes + 0.5, 0, 255).astype(np.uint8)
