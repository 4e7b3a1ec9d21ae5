"""Bounds that counted events allow, and the table and the plot of a curve."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from streamvc.errors import DataError
from streamvc.inference.manifest import OperatingFigures
from streamvc.training.operating_curve import COLUMNS, curve_rows, most_false_per_hour, plot_curve
from tests.inference.settings import settings

CURVE = (
    OperatingFigures(odds=1 / 3, heard=0.9, wrong=0.05, num_false=6, hours=2.0, delay_s=1.2),
    OperatingFigures(odds=1.0, heard=0.8, wrong=0.02, num_false=0, hours=2.0, delay_s=1.6),
    OperatingFigures(odds=9.0, heard=0.0, wrong=0.0, num_false=0, hours=0.0, delay_s=None),
)


@pytest.mark.parametrize(("num", "expected"), [(0, 2.996), (1, 4.744), (5, 10.513), (100, 118.08)])
def test_the_bound_is_that_of_poisson_s_law(num: int, expected: float) -> None:
    """Of the chi-squared law with 2 (num + 1) degrees, the half of its 95th percentile: of any table."""
    assert most_false_per_hour(num, 1.0) == pytest.approx(expected, rel=1e-3)
    assert most_false_per_hour(num, 0.5) == pytest.approx(2 * expected, rel=1e-3)


def test_where_nothing_was_watched_nothing_is_bounded() -> None:
    assert most_false_per_hour(0, 0.0) == float("inf")


def test_a_curve_is_a_table() -> None:
    made = settings(curve=[each.model_dump() for each in CURVE], thresholds={"default": {"enter": 0.8, "leave": 0.4}})

    assert len(COLUMNS) == 7
    assert curve_rows(made) == [
        ("high", "0.571", "0.900", "0.050", "3.0", "5.9", "1.2"),
        ("normal", "0.800", "0.800", "0.020", "0.0", "1.5", "1.6"),
        ("", "0.973", "0.000", "0.000", "-", "-", "-"),
    ]
    assert curve_rows(settings()) == []


def test_curves_are_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="needs the train extra")
    for name, curves in (("one.png", {"here": CURVE}), ("two.png", {"here": CURVE, "its card": CURVE[:2]})):
        plot_curve(curves, tmp_path / name)
    one, two = (np.asarray(cv2.imread(str(tmp_path / name))) for name in ("one.png", "two.png"))

    assert one.shape == two.shape
    assert (one != two).any()

    with pytest.raises(DataError, match="there is no operating curve to draw"):
        plot_curve({"here": ()}, tmp_path / "none.png")
    with pytest.raises(DataError, match="cannot be written"):
        plot_curve({"here": CURVE}, tmp_path / "no" / "folder.png")
