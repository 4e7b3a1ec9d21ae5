"""The activities of the figure: each gives the posture at a time, as one person does it."""

from dataclasses import replace

import numpy as np

from figure.body import ANKLE, SHANK, THIGH
from figure.manner import Manner, alive
from figure.pose import HANDS_ON_HIPS, HIPS_Y, STANCE, Arms, Pose, ease, keyed, mix, pair, sides, standing_feet
from streamvc.types import Array

LEG = 0.998 * (THIGH + SHANK)


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
        arms=Arms(
            raised=pair(12.0 + (150.0 if manner.variant < 0.8 else 95.0) * wide * min(manner.size, 1.05)),
            ahead=pair(12.0),
            elbow=pair(16.0 + 14.0 * np.sin(np.pi * wide)),
            bends_to=sides((-0.5, 0.7 * wide, 0.9 - 0.6 * wide)),
            spread=pair(0.4),
        ),
        feet=feet,
        toes=np.array([[24.0 * air + 4.0, 14.0], [24.0 * air + 4.0, 14.0]]),
    )
    return alive(pose, t, manner, 0.6)


def squat(t: float, manner: Manner) -> Pose:
    """Sits down into the air and stands up."""
    phase = manner.cycles(t, 2.3) % 1.0
    down = ease(phase / 0.42) if phase < 0.42 else 1.0 - ease((phase - 0.50) / 0.38)
    width = 0.075 + 0.035 * manner.variant
    stand = Pose(arms=_squat_arms(manner, 0.0), feet=standing_feet(width), toes=np.array([[0.0, 22.0], [0.0, 22.0]]))
    deep = replace(
        stand,
        hips=np.array([0.0, 0.52 - 0.235 * min(manner.size, 1.05), -0.125]),
        lean=pair(38.0, 0.0),
        spine=pair(6.0, 0.0),
        head=np.array([-26.0, 0.0, 0.0]),
        arms=_squat_arms(manner, 1.0),
    )
    return alive(mix(stand, deep, down), t, manner, 0.6)


def _squat_arms(manner: Manner, down: float) -> Arms:
    """Arms stretched forward, folded before the chest, or hands behind the head."""
    way = (manner.variant * 7.0) % 1.0
    if way < 0.6:
        return Arms(raised=pair(14.0 + 98.0 * down), ahead=pair(70.0 + 14.0 * down), bends_to=sides((-1.0, 0.3, 0.3)))
    if way < 0.8:
        return Arms(raised=pair(42.0), ahead=pair(62.0), elbow=pair(128.0), bends_to=sides((-0.9, 0.5, 0.4)))
    return Arms(raised=pair(98.0), ahead=pair(14.0), elbow=pair(142.0), bends_to=sides((-0.5, 0.6, -0.3)))


def lunge(t: float, manner: Manner) -> Pose:
    """Steps far forward, lets the rear knee sink, steps back; legs in turn."""
    cycles = manner.cycles(t, 2.7)
    leg = (int(np.floor(cycles)) + manner.side) % 2
    arms = HANDS_ON_HIPS if manner.variant < 0.65 else Arms(raised=pair(12.0), ahead=pair(30.0), elbow=pair(18.0))
    stand, halfway, deep = Pose(arms=arms), _lunge_step(leg, 0.55, manner, arms), _lunge_step(leg, 1.0, manner, arms)
    feet = halfway.feet.copy()
    feet[leg, 1] = 0.07
    lifted = replace(halfway, feet=feet, hips=np.array([0.0, HIPS_Y - 0.01, 0.05]), toes=stand.toes)
    return alive(keyed(cycles % 1.0, ((0.0, stand), (0.18, lifted), (0.46, deep), (0.58, deep), (0.82, lifted), (0.97, stand))), t, manner, 0.6)


def _lunge_step(leg: int, far: float, manner: Manner, arms: Arms) -> Pose:
    feet, toes = standing_feet(), np.array([[0.0, 6.0], [0.0, 6.0]])
    feet[leg, 2] = 0.40 * far * manner.size
    toes[1 - leg, 0] = 62.0 * far
    hips = np.array([0.0, HIPS_Y - 0.225 * far * manner.size, 0.20 * far * manner.size])
    return Pose(hips=hips, lean=pair(5.0, 0.0), arms=arms, feet=feet, toes=toes)


def wave(t: float, manner: Manner) -> Pose:
    """Waves with one hand."""
    swing = np.sin(2 * np.pi * manner.cycles(t, 0.78)) * manner.size
    high, i = manner.variant, manner.side
    arms, inward = Arms(), -1.0 if i == 0 else 1.0
    arms.raised[i] = 82.0 + 58.0 * high + 4.0 * swing
    arms.ahead[i] = 22.0 - 10.0 * high
    arms.elbow[i] = 84.0 - 52.0 * high + 25.0 * swing
    arms.bends_to[i] = (0.35 * inward, 1.0, 0.25)
    arms.spread[i] = 0.9
    return alive(Pose(lean=pair(0.0, 2.0 * inward), head=np.array([-2.0, 0.0, -5.0 * inward]), arms=arms), t, manner)


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
        arms=Arms(
            raised=24.0 + 66.0 * out,
            ahead=58.0 + 30.0 * out,
            elbow=132.0 - 122.0 * out,
            bends_to=sides((-0.25, 1.0, 0.35)),
            spread=pair(-0.15),
        ),
        feet=feet,
        toes=np.array([[10.0 if front < 0 else 0.0, 14.0], [10.0 if front > 0 else 0.0, 14.0]]),
    )
    return alive(pose, t, manner, 0.6)
