"""Regions around people."""

from hypothesis import assume, given
from hypothesis import strategies as st
from numpy import allclose, array, float32, hypot
from numpy.linalg import det

from streamvc.inference.pose.landmarks import Region

numbers = st.floats(-2000, 2000, width=32)


@given(numbers, numbers, numbers, numbers)
def test_in_its_region_a_person_stands_upright_and_fills_it(x: float, y: float, edge_x: float, edge_y: float) -> None:
    assume(hypot(edge_x - x, edge_y - y) > 1)
    region = Region.around(array([x, y], float32), array([edge_x, edge_y], float32))
    transform = region.transform(256)
    assert allclose(transform @ (128, 128, 1), (x, y), atol=0.01)
    assert allclose(transform @ (128, 128 - 256 / 2.5, 1), (edge_x, edge_y), atol=0.01)  # straight above, at 1 / 1.25 of the way to the border
    assert allclose(det(transform[:, :2]), (region.size / 256) ** 2)  # neither mirrored nor stretched
