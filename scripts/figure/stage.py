"""The acts of a story, and the posture of the figure at a time of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from figure import activities
from figure.idle import stand, stride
from figure.manner import Manner
from figure.pose import Pose, ease, mix
from figure.raster import View
from streamvc.types import Array

Motion = Callable[[float, Manner], Pose]

BACKGROUND = "nothing"
ACTIVITIES: dict[str, Motion] = {
    "Boxing": activities.boxing,
    "JumpingJack": activities.jumping_jack,
    "Lunge": activities.lunge,
    "Squat": activities.squat,
    "Wave": activities.wave,
}
IDLE = ("empty", "stand", "enter", "leave", "cross")
BLEND_S = 0.45
WALK_M_S = 1.15


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


def random_stage(rng: np.random.Generator, view: View, size: tuple[int, int]) -> Stage:
    """A spot near the middle of the room, turned a little from the camera."""
    yaw = float(rng.choice([-1, 1]) * rng.triangular(0, 10, 45))
    edge = (size[0] / 2) / view.focal_px * float(np.linalg.norm(view.position)) + 0.75
    return Stage(np.array([rng.uniform(-0.15, 0.15), rng.uniform(-0.2, 0.2)]), yaw, edge)


def pose_at(t: float, acts: Sequence[Act], manners: Sequence[Manner], stage: Stage, height: float) -> Pose | None:
    """The posture at a time of the story; None while nobody is there."""
    now = next((i for i, act in enumerate(acts) if t < act.end_s), len(acts) - 1)
    pose = _perform(acts[now], manners[now], t, stage, height)
    since = t - acts[now].start_s
    if pose is None or now == 0 or since >= BLEND_S:
        return pose
    before = _perform(acts[now - 1], manners[now - 1], t, stage, height)
    return pose if before is None else mix(before, pose, ease(since / BLEND_S))


def _perform(act: Act, manner: Manner, t: float, stage: Stage, height: float) -> Pose | None:
    since = t - act.start_s
    if act.name == "empty":
        return None
    if act.name in ("enter", "leave", "cross"):
        return _walk(act, since, manner, stage, height)
    moves = ACTIVITIES.get(act.name, stand)
    return replace(moves(since, manner), place=stage.spot, yaw=stage.yaw)


def _walk(act: Act, since: float, manner: Manner, stage: Stage, height: float) -> Pose:
    """In from one side to the spot, out from it, or all the way through."""
    side = -1.0 if manner.side else 1.0
    edge = np.array([side * stage.edge, stage.spot[1]])
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
