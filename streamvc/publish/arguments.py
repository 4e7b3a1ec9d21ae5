"""Checks what callers of the public API pass: a wrong type is refused at once, and not somewhere in a thread later."""

import math
import os
from numbers import Real
from pathlib import Path

from streamvc.errors import PublishError

AnyPath = str | os.PathLike[str]


def require_type(name: str, value: object, *types: type) -> None:
    """Refuse a value of another type.

    Raises:
        TypeError: It is.
    """
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        wanted = " or ".join("None" if one is type(None) else one.__name__ for one in types)
        raise TypeError(f"{name} must be {wanted}, not {type(value).__name__}: {value!r:.60}")


def require_number(name: str, value: float | None, minimum: float = -math.inf) -> None:
    """Refuse what is not a number (None is allowed), not finite, or too small.

    Raises:
        TypeError: It is not a number.
        PublishError: It is too small, infinite or NaN.
    """
    require_type(name, value, Real, type(None))
    if value is not None and not (math.isfinite(value) and value >= minimum):
        raise PublishError(f"{name} must be a number{'' if minimum == -math.inf else f' of at least {minimum:g}'}, not {value}")


def read_path(name: str, value: AnyPath) -> Path:
    """The path that is given as text or as a `Path`.

    Raises:
        TypeError: It is neither.
    """
    require_type(name, value, str, os.PathLike)
    return Path(value)


def read_optional_path(name: str, value: AnyPath | None) -> Path | None:
    """The same; None stays None."""
    return None if value is None else read_path(name, value)
