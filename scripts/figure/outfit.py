"""The solids that a figure is drawn with: skin, hair and clothes on the joints of a skeleton."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from figure.body import HIP, MIRROR, SHOULDER, Limb, Part, Skeleton
from figure.geometry import Joint, Solid
from figure.look import Look
from streamvc.types import Array


def dress(skeleton: Skeleton, look: Look, place: Array) -> list[Solid]:
    """All solids of a figure, in metres; `place` is (right, towards the camera) on the floor."""
    height, origin = look.build.height, np.array([place[0], 0.0, place[1]])

    def placed(solid: Solid) -> Solid:
        a, b = origin + height * solid.a, origin + height * solid.b
        return replace(solid, a=a, b=b, radius_a=height * solid.radius_a, radius_b=height * solid.radius_b)

    return [placed(solid) for solid in _figure(skeleton, look)]


def _figure(skeleton: Skeleton, look: Look) -> Iterator[Solid]:
    yield from _trunk(skeleton, look)
    yield from _head(skeleton, look)
    for i in (0, 1):
        yield from _arm(skeleton.arms[i], look)
        yield from _hand(skeleton.arms[i], skeleton.spread[i])
        yield from _leg(skeleton.legs[i], look)
        yield from _shoe(skeleton.feet[i])


def _trunk(skeleton: Skeleton, look: Look) -> Iterator[Solid]:
    pelvis, chest, build = skeleton.pelvis, skeleton.chest, look.build
    front, wide, hips = chest.axes[:, 2], build.shoulders, build.hips
    middle = (pelvis.local(0, 0.095, 0) + chest.local(0, 0.095, 0)) / 2
    thick = max(build.waist, 0.90 * hips)
    yield Solid(Part.SHIRT, chest.local(0, 0.203, 0.003), middle, 0.088 * wide, 0.078 * build.waist, 0.64, front)
    yield Solid(Part.SHIRT, middle, pelvis.local(0, -0.055, 0.000), 0.078 * build.waist, 0.114 * thick, 0.70, pelvis.axes[:, 2], hem=True)
    if look.band:
        yield Solid(Part.TRIM, chest.local(0, 0.190, 0.003), chest.local(0, 0.170, 0.003), 0.0895 * wide, 0.0880 * wide, 0.65, front, hem=True)
    yield Solid(Part.TROUSERS, pelvis.at(0.7 * HIP * MIRROR[0]), pelvis.at(0.7 * HIP * MIRROR[1]), 0.050 * hips, 0.050 * hips)
    for mirror in MIRROR:
        tip = mirror * SHOULDER * [0.86 * wide, 1.0, 1.0]
        yield Solid(Part.SHIRT, chest.local(0, 0.284, -0.006), chest.at(tip), 0.028, 0.0335)
        yield Solid(Part.SHIRT, chest.at(mirror * [0.03, 0.232, -0.002]), chest.at(tip - [0, 0.012, 0]), 0.058, 0.036, 0.80, front)


def _head(skeleton: Skeleton, look: Look) -> Iterator[Solid]:
    head, side = skeleton.head, skeleton.head.axes[:, 0]
    yield Solid(Part.SKIN, skeleton.chest.local(0, 0.265, -0.004), head.local(0, -0.045, -0.012), 0.033, 0.030)
    yield Solid(Part.SKIN, head.local(0, 0.016, -0.006), head.local(0, -0.032, 0.012), 0.0535, 0.034, 0.84, side)
    yield Solid(Part.SKIN, head.local(0, 0.002, 0.046), head.local(0, -0.013, 0.053), 0.0045, 0.0075)
    mouth = 0.0445 if look.beard else 0.0385
    yield Solid(Part.LIPS, head.local(0.010, -0.0335, mouth), head.local(-0.010, -0.0335, mouth), 0.0046, 0.0046)
    if look.beard:
        yield Solid(Part.HAIR, head.local(0, -0.034, 0.010), head.local(0, -0.046, 0.020), 0.0345, 0.026, 0.88, side)
    for mirror in MIRROR:
        yield Solid(Part.SKIN, head.at(mirror * [0.045, 0.004, -0.006]), head.at(mirror * [0.044, -0.010, -0.002]), 0.010, 0.007, 0.6, side)
        yield Solid(Part.EYE, head.at(mirror * [0.019, 0.006, 0.0385]), head.at(mirror * [0.015, 0.006, 0.0395]), 0.0062, 0.0062)
        yield Solid(Part.DARK, head.at(mirror * [0.017, 0.006, 0.0425]), head.at(mirror * [0.0171, 0.006, 0.0425]), 0.0040, 0.0040)
        yield Solid(Part.HAIR, head.at(mirror * [0.026, 0.0185, 0.0375]), head.at(mirror * [0.011, 0.0195, 0.0425]), 0.0030, 0.0038)
    yield from _hair(head, side, look.haircut)


def _hair(head: Joint, side: Array, haircut: str) -> Iterator[Solid]:
    if haircut == "bald":
        return
    thick = 0.0 if haircut == "shaved" else 0.004
    yield Solid(Part.HAIR, head.local(0, 0.029, -0.021), head.local(0, 0.000, -0.024), 0.0535 + thick, 0.046 + thick, 0.86, side)
    if haircut != "shaved":
        yield Solid(Part.HAIR, head.local(0.012, 0.058, 0.012), head.local(-0.020, 0.055, 0.014), 0.023, 0.024)
    if haircut == "long":
        yield Solid(Part.HAIR, head.local(0, 0.000, -0.030), head.local(0, -0.110, -0.034), 0.048, 0.036, 0.95, side)
        for left in (0.038, -0.038):
            yield Solid(Part.HAIR, head.local(left, 0.020, -0.012), head.local(left * 1.15, -0.085, -0.012), 0.019, 0.014)
    if haircut == "bun":
        yield Solid(Part.HAIR, head.local(0, 0.062, -0.038), head.local(0, 0.066, -0.044), 0.026, 0.024)
    if haircut == "curly":
        for k in range(34):  # evenly over a ball, by the golden angle; none over the face
            up, angle = 1.0 - 1.25 * k / 33, 2.39996 * k
            left, front = np.sqrt(1 - up * up) * np.sin(angle), np.sqrt(1 - up * up) * np.cos(angle)
            if front < 0.35 or up > 0.62:
                curl = head.local(0.046 * left, 0.022 + 0.054 * up, -0.012 + 0.052 * front)
                yield Solid(Part.HAIR, curl, curl + 0.004 * side, 0.017, 0.017)


def _arm(arm: Limb, look: Look) -> Iterator[Solid]:
    thick = look.build.limbs
    shoulder, elbow, wrist = arm.root, arm.middle, arm.end
    bulge = elbow + 0.3 * (wrist - elbow)
    yield Solid(Part.SKIN, shoulder, elbow, 0.0315 * thick, 0.0245 * thick)
    yield Solid(Part.SKIN, elbow, bulge, 0.0245 * thick, 0.0250 * thick)
    yield Solid(Part.SKIN, bulge, wrist, 0.0250 * thick, 0.0155 * thick)
    if look.sleeves == "short":
        yield Solid(Part.SHIRT, shoulder, shoulder + 0.62 * (elbow - shoulder), 0.0340 * thick, 0.0355 * thick, hem=True)
    if look.sleeves == "long":
        yield Solid(Part.SHIRT, shoulder, elbow, 0.0345 * thick, 0.0290 * thick)
        yield Solid(Part.SHIRT, elbow, elbow + 0.93 * (wrist - elbow), 0.0290 * thick, 0.0215 * thick, hem=True)


def _hand(arm: Limb, spread: float) -> Iterator[Solid]:
    along = (arm.end - arm.middle) / np.linalg.norm(arm.end - arm.middle)
    thumb, palm = arm.side, np.cross(along, arm.side)
    knuckles = arm.end + 0.046 * along
    yield Solid(Part.SKIN, arm.end + 0.010 * along, knuckles - 0.006 * along, 0.0165, 0.0205, 0.55, palm)
    for k in (-1.5, -0.5, 0.5, 1.5):
        root = knuckles + 0.0085 * k * thumb
        finger = along + (0.05 + 0.30 * spread) * k * thumb
        yield Solid(Part.SKIN, root, root + (0.043 - 0.004 * abs(k)) * finger, 0.0058, 0.0046)
    tip = arm.end + 0.046 * along + (0.026 + 0.022 * spread) * thumb
    yield Solid(Part.SKIN, arm.end + 0.012 * along + 0.012 * thumb, tip, 0.0085, 0.0055)


def _leg(leg: Limb, look: Look) -> Iterator[Solid]:
    thick, (hip, knee, ankle) = look.build.limbs, (leg.root, leg.middle, leg.end)
    calf = knee + 0.30 * (ankle - knee) - 0.010 * leg.side
    yield Solid(Part.SKIN, hip, knee, 0.0460 * thick, 0.0345 * thick)
    yield Solid(Part.SKIN, knee, calf, 0.0335 * thick, 0.0345 * thick)
    yield Solid(Part.SKIN, calf, ankle, 0.0345 * thick, 0.0215 * thick)
    if look.legs == "shorts":
        yield Solid(Part.TROUSERS, hip, hip + 0.74 * (knee - hip), 0.0515 * thick, 0.0540 * thick, hem=True)
        yield Solid(Part.EYE, ankle, ankle + 0.17 * (knee - ankle), 0.0235 * thick, 0.0255 * thick, hem=True)
        return
    loose = 1.0 if look.legs == "tights" else 1.13
    yield Solid(Part.TROUSERS, hip, knee, 0.0480 * thick, 0.0360 * thick * loose)
    yield Solid(Part.TROUSERS, knee, calf, 0.0360 * thick * loose, 0.0355 * thick * loose)
    yield Solid(Part.TROUSERS, calf, ankle + 0.03 * (knee - ankle), 0.0355 * thick * loose, 0.0235 * thick * loose**2, hem=True)


def _shoe(foot: Joint) -> Iterator[Solid]:
    up = foot.axes[:, 1]
    yield Solid(Part.SHOES, foot.local(0, -0.002, -0.010), foot.local(0, -0.014, 0.012), 0.0245, 0.0250)
    yield Solid(Part.SHOES, foot.local(0, -0.014, -0.014), foot.local(0, -0.022, 0.088), 0.0250, 0.0200, 0.72, up)
    yield Solid(Part.SOLES, foot.local(0, -0.030, -0.016), foot.local(0, -0.032, 0.090), 0.0245, 0.0215, 0.30, up)
