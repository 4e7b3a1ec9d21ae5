"""The figure's body: proportions, joints, and the solids it is drawn with.

Proportions are those of Drillis and Contini (1966), as shares of the body's height.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from figure.geometry import Joint, across, turn, unit
from figure.pose import Pose
from streamvc.types import Array

UPPER_ARM, FOREARM = 0.180, 0.150
THIGH, SHANK, ANKLE = 0.245, 0.246, 0.039
SHOULDER = np.array([0.108, 0.262, 0.0])  # from the middle of the hips, for the left side
HIP = np.array([0.050, -0.005, 0.0])
WAIST = np.array([0.0, 0.075, 0.0])  # where the spine bends
NECK = np.array([0.0, 0.280, -0.004])
HEAD = np.array([0.0, 0.128, 0.012])  # the middle of the head, from the neck
MIRROR = (np.array([1.0, 1.0, 1.0]), np.array([-1.0, 1.0, 1.0]))


class Part(IntEnum):
    """What a solid is made of; an index into the palette of a look."""

    SKIN = 0
    HAIR = 1
    SHIRT = 2
    TRIM = 3
    TROUSERS = 4
    SHOES = 5
    SOLES = 6
    EYE = 7
    DARK = 8
    LIPS = 9


@dataclass(frozen=True, slots=True)
class Build:
    """How a body differs from the average: height in metres, and factors for the thickness of limbs, shoulders, hips and waist."""

    height: float = 1.75
    limbs: float = 1.0
    shoulders: float = 1.0
    hips: float = 1.0
    waist: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Limb:
    """Three joints of an arm or a leg. `side` is at right angles to it: the thumb's for an arm, the knee's for a leg."""

    root: Array
    middle: Array
    end: Array
    side: Array


@dataclass(frozen=True, slots=True, eq=False)
class Skeleton:
    """All joints, in body heights."""

    pelvis: Joint
    chest: Joint
    head: Joint
    arms: tuple[Limb, Limb]
    legs: tuple[Limb, Limb]
    feet: tuple[Joint, Joint]
    spread: Array


def bent(root: Array, target: Array, upper: float, lower: float, towards: Array) -> Limb:
    """A limb from `root` that reaches `target`, or as far as it can, with its middle joint towards `towards`."""
    reach = target - root
    length = min(float(np.linalg.norm(reach)), 0.9995 * (upper + lower))
    axis = unit(reach)
    side = across(towards, axis)
    along = (length**2 + upper**2 - lower**2) / (2 * length)
    middle = root + axis * along + side * np.sqrt(max(upper**2 - along**2, 0.0))
    return Limb(root, middle, root + axis * length, side)


def stand_up(pose: Pose, build: Build) -> Skeleton:
    """The joints of a body in a posture, in body heights, around `pose.place`."""
    heading = turn(1, pose.yaw)
    pelvis = Joint(heading @ pose.hips, heading @ turn(0, pose.lean[0]) @ turn(2, -pose.lean[1]))
    bend, twist = pose.spine
    chest_axes = pelvis.axes @ turn(0, bend) @ turn(1, twist)
    chest = Joint(pelvis.at(WAIST) - chest_axes @ WAIST, chest_axes)
    nod, look, tilt = pose.head
    head_axes = chest.axes @ turn(1, look) @ turn(0, nod) @ turn(2, -tilt)
    head = Joint(chest.at(NECK) + head_axes @ HEAD, head_axes)
    arms = (_arm(pose, chest, build, 0), _arm(pose, chest, build, 1))
    legs = (_leg(pose, pelvis, build, heading, 0), _leg(pose, pelvis, build, heading, 1))
    feet = (_foot(pose, legs[0], heading, 0), _foot(pose, legs[1], heading, 1))
    return Skeleton(pelvis, chest, head, arms, legs, feet, pose.arms.spread)


def _arm(pose: Pose, chest: Joint, build: Build, i: int) -> Limb:
    raised, ahead, elbow = np.radians(pose.arms.raised[i]), np.radians(pose.arms.ahead[i]), np.radians(pose.arms.elbow[i])
    shrug = 0.022 * np.sin(max(raised - 0.8, 0.0))  # the shoulder goes up with the arm
    shoulder = chest.at(MIRROR[i] * (SHOULDER * [build.shoulders, 1, 1] + [-0.5 * shrug, shrug, 0]))
    upper = chest.axes @ (MIRROR[i] * [np.sin(raised) * np.cos(ahead), -np.cos(raised), np.sin(raised) * np.sin(ahead)])
    side = across(chest.axes @ pose.arms.bends_to[i], upper)
    joint = shoulder + UPPER_ARM * upper
    lower = np.cos(elbow) * upper + np.sin(elbow) * side
    return Limb(shoulder, joint, joint + FOREARM * lower, np.cos(elbow) * side - np.sin(elbow) * upper)


def _leg(pose: Pose, pelvis: Joint, build: Build, heading: Array, i: int) -> Limb:
    heel_up, out = pose.toes[i]
    ankle = heading @ (pose.feet[i] + [0.0, ANKLE + 0.11 * np.sin(np.radians(max(heel_up, 0.0))), 0.0])
    splay = np.radians(out)
    knee_to = heading @ (MIRROR[i] * [np.sin(splay) + 0.04, 0.0, np.cos(splay)])
    return bent(pelvis.at(MIRROR[i] * HIP * [build.hips, 1, 1]), ankle, THIGH, SHANK, knee_to)


def _foot(pose: Pose, leg: Limb, heading: Array, i: int) -> Joint:
    heel_up, out = pose.toes[i]
    return Joint(leg.end, heading @ turn(1, out if i == 0 else -out) @ turn(0, heel_up))
