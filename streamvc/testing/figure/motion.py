"""What the figure does: each motion gives the posture at a time, as one person does it."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from streamvc.testing.figure.body import ANKLE, SHANK, THIGH
from streamvc.testing.figure.pose import HIPS_Y, STANCE, Pose, ease, hanging_elbows, keyed, mix, pair, sides, standing_feet
from streamvc.types import Array

Motion = Callable[[float, "Manner"], Pose]
LEG = 0.998 * (THIGH + SHANK)


@dataclass(frozen=True, slots=True, eq=False)
class Manner:
    """How one person moves in one clip.

    Attributes:
        tempo: Factor on the usual speed.
        size: Factor on the usual amplitude.
        side: 0 left or 1 right, where a motion has a side.
        variant: Which way of doing it, 0 to 1.
        phase: Where in its cycle a motion begins, 0 to 1.
        waves: (4, C) amplitude 1 waves of C channels of slow unrest: three frequencies in Hz sum up, and a phase.
    """

    tempo: float
    size: float
    side: int
    variant: float
    phase: float
    waves: Array

    def unrest(self, t: float, channel: int) -> float:
        """A smooth, slow random number about 0, within -1 and 1."""
        one, two, three, phase = self.waves[:, channel % self.waves.shape[1]]
        return float(np.sin(6.283 * one * t + phase) + np.sin(6.283 * two * t + 2 * phase) + np.sin(6.283 * three * t + 3 * phase)) / 3.0

    def cycles(self, t: float, period_s: float) -> float:
        """How many cycles have passed, at a tempo that is never quite even."""
        return self.phase + t * self.tempo / period_s + 0.04 * self.unrest(t, 11)


def random_manner(rng: np.random.Generator, phase: float | None = None) -> Manner:
    """A manner as `rng` has it; motions begin at `phase` of their cycle, or anywhere."""
    channels = 16
    waves = np.vstack(
        (rng.uniform(0.05, 0.15, channels), rng.uniform(0.15, 0.35, channels), rng.uniform(0.35, 0.7, channels), rng.uniform(0, 6.28, channels))
    )
    return Manner(
        tempo=rng.uniform(0.82, 1.20),
        size=rng.uniform(0.85, 1.10),
        side=int(rng.integers(2)),
        variant=rng.random(),
        phase=rng.random() if phase is None else phase,
        waves=waves,
    )


def _alive(pose: Pose, t: float, manner: Manner, amount: float = 1.0) -> Pose:
    """The posture with breath and unrest: nobody stands still."""
    n = [amount * manner.unrest(t, i) for i in range(11)]
    return replace(
        pose,
        hips=pose.hips + np.array([0.008 * n[0], 0.0, 0.006 * n[1]]),
        lean=pose.lean + np.array([1.5 * n[1], 1.2 * n[0]]),
        spine=pose.spine + np.array([1.5 * n[2] + 0.8 * np.sin(1.6 * t), 3.0 * n[3]]),
        head=pose.head + np.array([4.0 * n[4], 9.0 * n[5], 3.0 * n[6]]),
        raised=pose.raised + np.array([2.5 * n[7], 2.5 * n[8]]),
        elbow=np.maximum(pose.elbow + np.array([5.0 * n[9], 5.0 * n[10]]), 2.0),
    )


def _hips_over(feet: Array, hips: Array) -> Array:
    """The hips, lowered where the legs would not reach the feet."""
    sideways = np.abs(feet[:, 0] - hips[0]).max() - 0.05
    forward = np.abs(feet[:, 2] - hips[2]).max()
    highest = np.sqrt(max(LEG**2 - sideways**2 - forward**2, 0.01)) + ANKLE + feet[:, 1].min()
    return np.array([hips[0], min(hips[1], highest), hips[2]])


def jumping_jack(t: float, manner: Manner) -> Pose:
    """Jumps feet apart with arms overhead, and back."""
    phase = manner.cycles(t, 1.12)
    wide = 0.5 - 0.5 * np.cos(2 * np.pi * phase)
    wide = 0.65 * wide + 0.35 * ease(wide)
    air = np.sin(2 * np.pi * phase) ** 2
    feet = standing_feet(STANCE * 0.8 + 0.125 * wide * manner.size)
    feet[:, 1] = 0.030 * air * manner.size
    dip = 0.012 * (1.0 - air)
    pose = Pose(
        hips=_hips_over(feet, np.array([0.0, HIPS_Y - dip + 0.034 * air * manner.size, -0.01 * dip])),
        lean=pair(3.0, 0.0),
        raised=pair(12.0 + (150.0 if manner.variant < 0.8 else 95.0) * wide * min(manner.size, 1.05)),
        ahead=pair(12.0),
        elbow=pair(16.0 + 14.0 * np.sin(np.pi * wide)),
        bends_to=sides((-0.5, 0.7 * wide, 0.9 - 0.6 * wide)),
        feet=feet,
        toes=np.array([[24.0 * air + 4.0, 14.0], [24.0 * air + 4.0, 14.0]]),
        spread=pair(0.4),
    )
    return _alive(pose, t, manner, 0.6)


def squat(t: float, manner: Manner) -> Pose:
    """Sits down into the air and stands up."""
    phase = manner.cycles(t, 2.3) % 1.0
    down = ease(phase / 0.42) if phase < 0.42 else 1.0 - ease((phase - 0.50) / 0.38)
    width = 0.075 + 0.035 * manner.variant
    stand = Pose(feet=standing_feet(width), toes=np.array([[0.0, 22.0], [0.0, 22.0]]))
    stand = replace(stand, **_squat_arms(manner, 0.0))
    deep = replace(
        stand,
        hips=np.array([0.0, 0.52 - 0.235 * min(manner.size, 1.05), -0.125]),
        lean=pair(38.0, 0.0),
        spine=pair(6.0, 0.0),
        head=np.array([-26.0, 0.0, 0.0]),
        **_squat_arms(manner, 1.0),
    )
    return _alive(mix(stand, deep, down), t, manner, 0.6)


def _squat_arms(manner: Manner, down: float) -> dict[str, Array]:
    """Arms stretched forward, folded before the chest, or hands behind the head."""
    way = (manner.variant * 7.0) % 1.0
    if way < 0.6:
        return {"raised": pair(14.0 + 98.0 * down), "ahead": pair(70.0 + 14.0 * down), "elbow": pair(14.0), "bends_to": sides((-1.0, 0.3, 0.3))}
    if way < 0.8:
        return {"raised": pair(42.0), "ahead": pair(62.0), "elbow": pair(128.0), "bends_to": sides((-0.9, 0.5, 0.4))}
    return {"raised": pair(98.0), "ahead": pair(14.0), "elbow": pair(142.0), "bends_to": sides((-0.5, 0.6, -0.3))}


def lunge(t: float, manner: Manner) -> Pose:
    """Steps far forward, lets the rear knee sink, steps back; legs in turn."""
    cycles = manner.cycles(t, 2.7)
    leg = (int(np.floor(cycles)) + manner.side) % 2
    arms = _lunge_arms(manner)
    stand, mid, deep = Pose(**arms), _lunge_step(leg, 0.55, manner, arms), _lunge_step(leg, 1.0, manner, arms)
    lifted = replace(
        mid, feet=mid.feet + [0.0, 0.07, 0.0] * (np.arange(2) == leg)[:, None], hips=np.array([0.0, HIPS_Y - 0.01, 0.05]), toes=stand.toes
    )
    return _alive(keyed(cycles % 1.0, ((0.0, stand), (0.18, lifted), (0.46, deep), (0.58, deep), (0.82, lifted), (0.97, stand))), t, manner, 0.6)


def _lunge_step(leg: int, far: float, manner: Manner, arms: dict[str, Array]) -> Pose:
    front, rear = (0.40 * far * manner.size, 0.0)
    feet, toes = standing_feet(), np.array([[0.0, 6.0], [0.0, 6.0]])
    feet[leg, 2], feet[1 - leg, 2] = front, rear
    toes[1 - leg, 0] = 62.0 * far
    return Pose(hips=np.array([0.0, HIPS_Y - 0.225 * far * manner.size, 0.20 * far * manner.size]), lean=pair(5.0, 0.0), feet=feet, toes=toes, **arms)


def _lunge_arms(manner: Manner) -> dict[str, Array]:
    """Hands on the hips, or arms hanging."""
    if manner.variant < 0.65:
        return {"raised": pair(46.0), "ahead": pair(-22.0), "elbow": pair(98.0), "bends_to": sides((-0.9, -0.1, 0.55))}
    return {"raised": pair(12.0), "ahead": pair(30.0), "elbow": pair(18.0), "bends_to": hanging_elbows()}


def wave(t: float, manner: Manner) -> Pose:
    """Waves with one hand."""
    swing = np.sin(2 * np.pi * manner.cycles(t, 0.78)) * manner.size
    high = manner.variant
    stand, i = Pose(), manner.side
    arm = {name: getattr(stand, name).copy() for name in ("raised", "ahead", "elbow", "bends_to", "spread")}
    arm["raised"][i] = 82.0 + 58.0 * high + 4.0 * swing
    arm["ahead"][i] = 22.0 - 10.0 * high
    arm["elbow"][i] = 84.0 - 52.0 * high + 25.0 * swing
    arm["bends_to"][i] = (-0.35 if i == 0 else 0.35, 1.0, 0.25)
    arm["spread"][i] = 0.9
    pose = replace(stand, head=np.array([-2.0, 0.0, 5.0 * (1 - 2 * i)]), lean=pair(0.0, -2.0 * (1 - 2 * i)), **arm)
    return _alive(pose, t, manner)


def boxing(t: float, manner: Manner) -> Pose:
    """Punches into the air from a guard, left and right in turn."""
    cycles = manner.cycles(t, 1.25)
    punch = np.sin(2 * np.pi * cycles)
    out = np.array([ease(1.5 * max(punch, 0.0)), ease(1.5 * max(-punch, 0.0))])
    bounce = 0.012 * np.sin(4 * np.pi * cycles)
    front = 1.0 if manner.side == 0 else -1.0
    feet = np.array([[0.085, 0.0, 0.07 * front], [-0.085, 0.0, -0.07 * front]])
    pose = Pose(
        hips=np.array([0.0, HIPS_Y - 0.035 + bounce, 0.0]),
        lean=pair(8.0, 0.0),
        spine=np.array([6.0, -30.0 * (out[0] - out[1]) * manner.size]),
        raised=24.0 + 66.0 * out,
        ahead=58.0 + 30.0 * out,
        elbow=132.0 - 122.0 * out,
        bends_to=sides((-0.25, 1.0, 0.35)),
        feet=feet,
        toes=np.array([[10.0 if front < 0 else 0.0, 14.0], [10.0 if front > 0 else 0.0, 14.0]]),
        spread=pair(-0.15),
    )
    return _alive(pose, t, manner, 0.6)


def stand(t: float, manner: Manner) -> Pose:
    """Stands about: shifts weight, looks around, and now and then puts the arms elsewhere."""
    shift = manner.unrest(t * 1.5, 12)
    rest = replace(
        Pose(),
        hips=np.array([0.028 * shift, HIPS_Y - 0.004, 0.0]),
        lean=pair(0.0, -2.0 * shift),
        head=np.array([0.0, 22.0 * manner.unrest(t, 13), 0.0]),
    )
    habit = HABITS[int(manner.variant * 997) % len(HABITS)](rest, t, manner)
    return _alive(mix(rest, habit, ease(2.2 * manner.unrest(t * 1.6, 14))), t, manner)


def _on_hips(pose: Pose, t: float, manner: Manner) -> Pose:
    return replace(pose, raised=pair(46.0), ahead=pair(-22.0), elbow=pair(98.0), bends_to=sides((-0.9, -0.1, 0.55)))


def _folded(pose: Pose, t: float, manner: Manner) -> Pose:
    return replace(pose, raised=pair(24.0, 27.0), ahead=pair(60.0), elbow=pair(104.0, 98.0), bends_to=sides((-1.0, 0.15, 0.35)))


def _at_phone(pose: Pose, t: float, manner: Manner) -> Pose:
    raised, elbow = pair(12.0), pair(16.0)
    raised[manner.side], elbow[manner.side] = 28.0, 108.0
    return replace(pose, raised=raised, ahead=pair(60.0), elbow=elbow, bends_to=sides((-0.45, 0.5, 0.6)), head=np.array([24.0, 0.0, 0.0]))


def _at_head(pose: Pose, t: float, manner: Manner) -> Pose:
    i = manner.side
    raised, ahead, elbow, towards = pair(9.0), pair(30.0), pair(14.0), hanging_elbows()
    raised[i], ahead[i], elbow[i] = 74.0, 38.0, 138.0 + 4.0 * np.sin(14.0 * t)
    towards[i] = (-0.6 if i == 0 else 0.6, 1.0, -0.1)
    return replace(pose, raised=raised, ahead=ahead, elbow=elbow, bends_to=towards, head=np.array([6.0, 0.0, 4.0 * (1 - 2 * i)]))


def _at_shoe(pose: Pose, t: float, manner: Manner) -> Pose:
    return replace(
        pose, hips=np.array([0.0, 0.49, -0.09]), lean=pair(64.0, 0.0), spine=pair(18.0, 0.0), raised=pair(86.0), ahead=pair(86.0), elbow=pair(12.0)
    )


def _at_ease(pose: Pose, t: float, manner: Manner) -> Pose:
    return pose


HABITS = (_at_ease, _at_ease, _on_hips, _folded, _at_phone, _at_head, _at_shoe)


def stride(distance: float, manner: Manner) -> Pose:
    """The posture of one who walks ahead and has come `distance` body heights far."""
    length = 0.78 * manner.size  # body heights, of two steps
    phase = distance / length + manner.phase
    feet, toes = standing_feet(STANCE * 0.75), np.array([[0.0, 8.0], [0.0, 8.0]])
    for i in (0, 1):
        feet[i, 1], feet[i, 2], toes[i, 0] = _step((phase + 0.5 * i) % 1.0, length)
    swing = np.cos(2 * np.pi * phase)
    return Pose(
        hips=np.array([0.012 * np.sin(2 * np.pi * phase), HIPS_Y - 0.014 - 0.010 * np.cos(4 * np.pi * phase), 0.0]),
        lean=pair(3.0, 0.0),
        spine=np.array([2.0, 7.0 * swing]),
        raised=np.array([10.0 + 14.0 * abs(swing), 10.0 + 14.0 * abs(swing)]),
        ahead=np.array([20.0 - 75.0 * swing, 20.0 + 75.0 * swing]),
        elbow=np.array([22.0 - 10.0 * swing, 22.0 + 10.0 * swing]),
        bends_to=hanging_elbows(),
        feet=feet,
        toes=toes,
    )


def _step(phase: float, length: float) -> tuple[float, float, float]:
    """Height, place ahead of the hips, and raised heel of a foot: on the floor for the first 0.6 of the phase, then swinging."""
    half = 0.3 * length
    if phase < 0.6:
        return 0.0, half - length * phase, 45.0 * ease((phase - 0.42) / 0.18)
    swing = (phase - 0.6) / 0.4
    return 0.05 * np.sin(np.pi * swing), -half + 2 * half * ease(swing), 45.0 * (1 - ease(swing / 0.6)) - 16.0 * ease((swing - 0.6) / 0.4)
