"""What the figure does while it does nothing: stands about, and walks."""

from dataclasses import replace

import numpy as np

from figure.manner import Manner, alive
from figure.pose import HANDS_ON_HIPS, HIPS_Y, STANCE, Arms, Pose, ease, mix, pair, sides, standing_feet


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
    return alive(mix(rest, habit, ease(2.2 * manner.unrest(t * 1.6, 14))), t, manner)


def _on_hips(rest: Pose, t: float, manner: Manner) -> Pose:
    return replace(rest, arms=HANDS_ON_HIPS)


def _folded(rest: Pose, t: float, manner: Manner) -> Pose:
    return replace(rest, arms=Arms(raised=pair(24.0, 27.0), ahead=pair(60.0), elbow=pair(104.0, 98.0), bends_to=sides((-1.0, 0.15, 0.35))))


def _at_phone(rest: Pose, t: float, manner: Manner) -> Pose:
    arms = Arms(raised=pair(12.0), ahead=pair(60.0), elbow=pair(16.0), bends_to=sides((-0.45, 0.5, 0.6)))
    arms.raised[manner.side], arms.elbow[manner.side] = 28.0, 108.0
    return replace(rest, arms=arms, head=np.array([24.0, 0.0, 0.0]))


def _at_head(rest: Pose, t: float, manner: Manner) -> Pose:
    i, inward = manner.side, -1.0 if manner.side == 0 else 1.0
    arms = Arms(ahead=pair(30.0))
    arms.raised[i], arms.ahead[i], arms.elbow[i] = 74.0, 38.0, 138.0 + 4.0 * np.sin(14.0 * t)
    arms.bends_to[i] = (0.6 * inward, 1.0, -0.1)
    return replace(rest, arms=arms, head=np.array([6.0, 0.0, -4.0 * inward]))


def _at_shoe(rest: Pose, t: float, manner: Manner) -> Pose:
    arms = Arms(raised=pair(86.0), ahead=pair(86.0), elbow=pair(12.0))
    return replace(rest, hips=np.array([0.0, 0.49, -0.09]), lean=pair(64.0, 0.0), spine=pair(18.0, 0.0), arms=arms)


def _at_ease(rest: Pose, t: float, manner: Manner) -> Pose:
    return rest


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
        arms=Arms(
            raised=pair(10.0 + 14.0 * abs(swing)),
            ahead=pair(20.0 - 75.0 * swing, 20.0 + 75.0 * swing),
            elbow=pair(22.0 - 10.0 * swing, 22.0 + 10.0 * swing),
        ),
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
