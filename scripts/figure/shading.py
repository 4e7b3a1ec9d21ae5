"""Lights the figure and lays it, with its shadow, into the picture of the room."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from figure.backdrop import Backdrop, render_room
from figure.geometry import Solid
from figure.look import Palette
from figure.raster import FAR, Surface, View, draw, extent, look_at
from figure.room import Room
from streamvc.types import Array

SHADOW_PX_PER_M = 110.0
SMALLEST_M = 0.012  # radius of what casts a shadow worth drawing
FINE = 2  # the figure is drawn this many times finer than the picture


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A camera in a room, with what of the picture does not change.

    Attributes:
        lit_at: (H, W, 2) where each pixel of the room lies in the picture that the light sees.
        grounded_at: The same, seen from straight above.
    """

    room: Room
    view: View
    size: tuple[int, int]
    backdrop: Backdrop
    light: View
    above: View
    lit_at: Array
    grounded_at: Array


def _parallel(direction: Array) -> View:
    axes = look_at(direction, np.zeros(3)) if abs(direction[1]) < 0.999 else np.array([[1.0, 0, 0], [0, 0, 1.0], [0, 1.0, 0]])
    return View(np.zeros(3), axes, 0.0, np.zeros(2), SHADOW_PX_PER_M)


def set_scene(room: Room, view: View, size: tuple[int, int]) -> Scene:
    """Prepare what all pictures of a camera share; `size` is (width, height)."""
    backdrop = render_room(room, view, size)
    light, above = _parallel(room.light), _parallel(np.array([0.0, 1.0, 0.0]))
    at = [(backdrop.position @ (v.axes[:2].T * SHADOW_PX_PER_M)).astype(np.float32) for v in (light, above)]
    scene = Scene(room, view, size, backdrop, light, above, at[0], at[1])
    return replace(scene, backdrop=replace(backdrop, image=picture(scene, room.plants, room.greens)))


def picture(scene: Scene, solids: Sequence[Solid], palette: Palette) -> Array:
    """The room with the figure in it: (H, W, 3) linear blue, green, red."""
    image = scene.backdrop.image.copy()
    if not solids:
        return image
    casters = [solid for solid in solids if solid.radius_a > SMALLEST_M]
    left, top, right, bottom = extent(casters, scene.light)
    shadow = draw(casters, scene.light, (left - 8, top - 8, right + 8, bottom + 8))
    _darken(image, shadow, scene.lit_at, softness=4.0, strength=0.42)
    low = [solid for solid in casters if min(solid.a[1], solid.b[1]) < 0.35]
    if low:
        left, top, right, bottom = extent(low, scene.above)
        ground = draw(low, scene.above, (left - 30, top - 30, right + 30, bottom + 30))
        _darken(image, ground, scene.grounded_at, softness=7.0, strength=0.5, only=scene.backdrop.position[..., 1] < 0.1)
    _lay_over(image, scene, solids, palette, shadow)
    return image


def _darken(image: Array, caster: Surface, at: Array, softness: float, strength: float, only: Array | None = None) -> None:
    mask = cv2.GaussianBlur((caster.depth > FAR / 2).astype(np.float32), (0, 0), softness)
    shade = cv2.remap(mask, at[..., 0] - caster.left, at[..., 1] - caster.top, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
    if only is not None:
        shade = shade * only
    image *= (1.0 - strength * shade)[..., None]


def _lay_over(image: Array, scene: Scene, solids: Sequence[Solid], palette: Palette, shadow: Surface) -> None:
    width, height = scene.size
    left, top, right, bottom = extent(solids, scene.view)
    left, top, right, bottom = max(left - 1, 0), max(top - 1, 0), min(right + 1, width), min(bottom + 1, height)
    if left >= right or top >= bottom:
        return
    finer = View(scene.view.position, scene.view.axes, scene.view.focal_px * FINE, scene.view.centre * FINE)
    surface = draw(solids, finer, (left * FINE, top * FINE, right * FINE, bottom * FINE))
    covered = surface.depth > FAR / 2
    colour = np.zeros_like(surface.normal)
    colour[covered] = _shade(surface, covered, scene, finer, palette, shadow)
    window = (right - left, bottom - top)
    alpha = cv2.resize(covered.astype(np.float32), window, interpolation=cv2.INTER_AREA)[..., None]
    at = image[top:bottom, left:right]
    at *= 1.0 - alpha
    at += cv2.resize(colour, window, interpolation=cv2.INTER_AREA)


def _shade(surface: Surface, covered: Array, scene: Scene, view: View, palette: Palette, shadow: Surface) -> Array:
    """The colours (N, 3) of the pixels that are covered."""
    normal, part, room = surface.normal[covered], surface.part[covered], scene.room
    to_light, up = (view.axes @ room.light).astype(np.float32), view.axes[:, 1].astype(np.float32)
    lit = _lit(surface, covered, scene, view, shadow)
    key = np.clip((normal @ to_light + np.float32(0.15)) / np.float32(1.15), 0.0, 1.0) * lit
    sky = 0.5 + 0.5 * (normal @ up)
    rim = (1.0 - np.clip(normal[:, 2], 0.0, 1.0)) ** 3
    level = _openness(surface, covered) * (0.30 + 0.26 * sky + 0.10 * rim) + 0.62 * key
    halfway = to_light + np.array([0.0, 0.0, 1.0], np.float32)
    mirrored = np.clip(normal @ (halfway / np.linalg.norm(halfway)), 0.0, 1.0)
    shine = palette.gloss[part] * np.square(np.square(np.square(np.square(mirrored)))) * lit
    colour = palette.colours[part] * level[:, None] + shine[:, None]
    return np.asarray(colour * room.warmth * np.float32(room.exposure), np.float32)


def _openness(surface: Surface, covered: Array) -> Array:
    """Less than 1 where something nearby stands in front: creases, armpits, between the legs."""
    radius = max(int(0.07 * surface.scale), 3)
    weight = cv2.blur(covered.astype(np.float32), (radius, radius))
    around = cv2.blur(np.where(covered, surface.depth, np.float32(0.0)), (radius, radius))[covered] / weight[covered]
    return np.asarray(1.0 - 0.55 * np.clip((around - surface.depth[covered]) / np.float32(0.10 * surface.scale), 0.0, 1.0))


def _lit(surface: Surface, covered: Array, scene: Scene, view: View, shadow: Surface) -> Array:
    """1 where the light falls on a covered pixel, less where another part of the figure is in between."""
    rows, columns = np.nonzero(covered)
    away = surface.depth[covered] / np.float32(surface.scale)
    ratio = -away / np.float32(view.focal_px)
    x = (columns + np.float32(0.5 + surface.left - view.centre[0])) * ratio
    y = (rows + np.float32(0.5 + surface.top - view.centre[1])) * ratio
    axes = scene.light.axes * SHADOW_PX_PER_M
    at = np.stack((x, y, away), axis=-1).astype(np.float32) @ (axes @ view.axes.T).T.astype(np.float32) + (axes @ view.position).astype(np.float32)
    column = np.clip(at[:, 0] - shadow.left, 0, shadow.depth.shape[1] - 1).astype(np.intp)
    row = np.clip(at[:, 1] - shadow.top, 0, shadow.depth.shape[0] - 1).astype(np.intp)
    hidden = np.zeros(covered.shape, np.float32)
    hidden[covered] = np.clip((shadow.depth[row, column] - at[:, 2]) / (0.02 * SHADOW_PX_PER_M) - 1.2, 0.0, 1.0)
    return np.asarray(1.0 - 0.8 * cv2.blur(hidden, (5, 5))[covered])
