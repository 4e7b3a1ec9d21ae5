"""Finds the minimum of a smooth convex function by L-BFGS (Nocedal and Wright, Numerical Optimization, 2006, algorithms 3.1, 7.4 and 7.5)."""

from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MEMORY = 10  # steps that the curvature is known from
SUFFICIENT = 1e-4  # share of the fall that the slope promises which a step must bring
SHORTEST = 1e-10  # a step that must be shorter than this brings nothing any more


def minimise(
    function: Callable[[Floats], tuple[float, Floats]], start: Floats, *, max_steps: int, tolerance: float = 1e-4
) -> tuple[Floats, list[float]]:
    """Go downhill from a point until the slope is that flat, or for so many steps.

    Args:
        function: Gives the value at a point, (N,), and the gradient, (N,).
        start: (N,) where to begin.
        max_steps: When to stop at the latest.
        tolerance: Stop where no component of the gradient is larger.

    Returns:
        (N,) the lowest point that was found, and the value at the start and after each step.
    """
    point = start.astype(np.float64)
    value, gradient = function(point)
    values = [value]
    curvature: deque[tuple[Floats, Floats]] = deque(maxlen=MEMORY)
    while len(values) <= max_steps and np.abs(gradient).max() > tolerance:
        direction = -_newton(gradient, curvature)
        slope = float(direction @ gradient)
        size = 1.0 if curvature else 1 / max(float(np.linalg.norm(gradient)), 1.0)
        while True:
            moved = point + size * direction
            moved_value, moved_gradient = function(moved)
            if moved_value <= value + SUFFICIENT * size * slope:
                break
            size /= 2
            if size < SHORTEST:
                return point, values
        step, change = moved - point, moved_gradient - gradient
        if step @ change > 0:  # as of a convex function; rounding apart
            curvature.append((step, change))
        point, value, gradient = moved, moved_value, moved_gradient
        values.append(value)
    return point, values


def _newton(gradient: Floats, curvature: deque[tuple[Floats, Floats]]) -> Floats:
    """The gradient times what is known of the inverse curvature, by two loops over the last steps."""
    direction, shares = gradient.copy(), []
    for step, change in reversed(curvature):
        share = (step @ direction) / (step @ change)
        direction -= share * change
        shares.append(share)
    if curvature:
        step, change = curvature[-1]
        direction *= (step @ change) / (change @ change)
    for (step, change), share in zip(curvature, reversed(shares), strict=True):
        direction += step * (share - (change @ direction) / (step @ change))
    return direction
