"""The empty room as a camera sees it: a ray for each pixel, once per clip."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from figure.furniture import Box
from figure.paint import PX_PER_M
from figure.raster import View
from figure.room import Room
from streamvc.types import Array


@dataclass(frozen=True, slots=True, eq=False)
class Backdrop:
    """The empty room as a camera sees it: (H, W, 3) linear colours, and where each pixel lies in metres."""

    image: Array
    position: Array


@dataclass(frozen=True, slots=True, eq=False)
class Hits:
    """What the rays of a window have hit so far; written in place."""

    distance: Array
    position: Array
    colour: Array
    normal: Array
    shade: Array


def render_room(room: Room, view: View, size: tuple[int, int]) -> Backdrop:
    """What `view` sees of the room, without the figure; `size` is (width, height)."""
    fine = 2
    image, position = _trace(room, view, size, fine)
    return Backdrop(cv2.resize(image, size, interpolation=cv2.INTER_AREA), position[fine // 2 :: fine, fine // 2 :: fine].copy())


def _rays(view: View, size: tuple[int, int], fine: int) -> Array:
    """Directions (H, W, 3) of the lines of sight, in the room."""
    x = (np.arange(size[0] * fine, dtype=np.float32) + 0.5) / fine - view.centre[0]
    y = (np.arange(size[1] * fine, dtype=np.float32) + 0.5) / fine - view.centre[1]
    seen = np.stack(np.broadcast_arrays(x[None, :] / view.focal_px, y[:, None] / view.focal_px, np.float32(-1.0)), axis=-1)
    return np.asarray(seen @ view.axes.astype(np.float32))


def _trace(room: Room, view: View, size: tuple[int, int], fine: int) -> tuple[Array, Array]:
    rays, eye = _rays(view, size, fine), view.position.astype(np.float32)
    inverse = 1.0 / np.where(np.abs(rays) < 1e-6, 1e-6, rays)
    walls_low, walls_high = np.array([room.left, 0.0, room.back], np.float32), np.array([room.right, room.height, 1e3], np.float32)
    exits = np.maximum((walls_low - eye) * inverse, (walls_high - eye) * inverse)
    axis, distance = exits.argmin(axis=-1), exits.min(axis=-1)
    position = eye + rays * distance[..., None]
    colour, normal = _surfaces(room, position, axis, rays)
    shade = _corners(room, position) * _contacts(room.boxes, position)
    for box in room.boxes:
        at = _window(box, view, size, fine)
        _trace_box(box, rays[at], inverse[at], eye, Hits(distance[at], position[at], colour[at], normal[at], shade[at]))
    return np.asarray(colour * _lighting(room, position, normal, shade)), position


def _surfaces(room: Room, position: Array, axis: Array, rays: Array) -> tuple[Array, Array]:
    """Colour and normal of walls, floor and ceiling."""
    x, y, z = ((position[..., i] - low).astype(np.float32) * PX_PER_M for i, low in enumerate((room.left, 0.0, room.back)))
    colour = np.broadcast_to(room.side_wall, position.shape).copy()
    wall = cv2.remap(room.wall, x, room.wall.shape[0] - 1 - y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    floor = cv2.remap(room.floor, x, z, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    ceiling = np.full(3, 0.8, np.float32)
    down = rays[..., 1] < 0
    for where, paint in (((axis == 2), wall), ((axis == 1) & down, floor), ((axis == 1) & ~down, np.broadcast_to(ceiling, wall.shape))):
        colour[where] = paint[where]
    normal = -np.sign(rays) * (np.arange(3) == axis[..., None])
    return colour, normal.astype(np.float32)


def _corners(room: Room, position: Array) -> Array:
    """Corners of the room are darker."""
    near = [
        position[..., 1],
        position[..., 0] - room.left,
        room.right - position[..., 0],
        position[..., 2] - room.back,
        room.height - position[..., 1],
    ]
    shade = np.ones(position.shape[:2], np.float32)
    for distance in near:
        np.multiply(shade, 1.0 - 0.28 * np.exp(-np.maximum(distance, 0.02) / 0.22), out=shade, where=distance > 0.01)
    return shade


def _contacts(boxes: Sequence[Box], position: Array) -> Array:
    """What is close to a box is darker."""
    coarse = position[::4, ::4]
    shade = np.ones(coarse.shape[:2], np.float32)
    for box in boxes:
        outside = np.maximum(np.maximum(box.low - coarse, coarse - box.high), 0.0)
        strength = min(0.45, 1.5 * float(np.min(box.high - box.low)))
        shade *= (1.0 - strength * np.exp(-np.linalg.norm(outside, axis=-1) / 0.10)).astype(np.float32)
    return np.asarray(cv2.resize(shade, position.shape[1::-1], interpolation=cv2.INTER_LINEAR))


def _window(box: Box, view: View, size: tuple[int, int], fine: int) -> tuple[slice, slice]:
    """The rows and columns of the picture that hold a box."""
    corners = np.array([[pair[i] for pair, i in zip(zip(box.low, box.high, strict=True), bits, strict=True)] for bits in np.ndindex(2, 2, 2)])
    pixels, _ = view.project(corners)
    low, high = np.floor(pixels[:, :2].min(axis=0)) * fine, np.ceil(pixels[:, :2].max(axis=0) + 1) * fine
    (left, top), (right, bottom) = np.clip(low, 0, np.array(size) * fine).astype(int), np.clip(high, 0, np.array(size) * fine).astype(int)
    return slice(top, bottom), slice(left, right)


def _trace_box(box: Box, rays: Array, inverse: Array, eye: Array, hits: Hits) -> None:
    """Put a box where it is nearer than what the rays have hit so far."""
    near = np.minimum((box.low - eye) * inverse, (box.high - eye) * inverse)
    far = np.maximum((box.low - eye) * inverse, (box.high - eye) * inverse).min(axis=-1)
    enter = near.max(axis=-1)
    where = (enter < far) & (enter > 0) & (enter < hits.distance)
    axis = near.argmax(axis=-1)[where]
    hits.distance[where] = enter[where]
    hits.position[where] = eye + rays[where] * enter[where][:, None]
    hits.normal[where] = -np.sign(rays[where]) * (np.arange(3) == axis[:, None])
    hits.colour[where] = _face(box, hits.position[where], axis)
    hits.shade[where] = 1.0 - 0.3 * np.exp(-hits.position[where][:, 1] / 0.15)


def _face(box: Box, position: Array, axis: Array) -> Array:
    colour = np.broadcast_to(box.colour, position.shape).copy()
    if box.front is not None:
        share = (position - box.low) / (box.high - box.low)
        column = np.clip(share[:, 0] * box.front.shape[1], 0, box.front.shape[1] - 1).astype(int)
        row = np.clip((1 - share[:, 1]) * box.front.shape[0], 0, box.front.shape[0] - 1).astype(int)
        colour = np.where((axis == 2)[:, None], box.front[row, column], colour)
    return colour


def _lighting(room: Room, position: Array, normal: Array, shade: Array) -> Array:
    to_lamp = room.lamp - position
    distance = np.linalg.norm(to_lamp, axis=-1)
    lamp = np.clip((to_lamp * normal).sum(axis=-1) / distance, 0.0, 1.0) / (0.6 + 0.25 * distance**2)
    key = np.clip(normal @ room.light.astype(np.float32), 0.0, 1.0)
    level = shade * (0.42 + 0.45 * key + 0.55 * lamp) * room.exposure
    return np.asarray(level[..., None] * room.warmth, np.float32)
