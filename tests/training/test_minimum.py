"""The minimum of functions that are known."""

import numpy as np

from streamvc.training.minimum import minimise


def test_the_minimum_of_a_quadratic_is_the_solution_of_its_equations() -> None:
    rng = np.random.default_rng(0)
    root, target = rng.normal(size=(40, 40)), rng.normal(size=40)
    matrix = root @ root.T + np.eye(40)

    def function(point: np.ndarray) -> tuple[float, np.ndarray]:
        return float(point @ matrix @ point / 2 - target @ point), matrix @ point - target

    found, values = minimise(function, np.zeros(40), max_steps=500)
    assert np.allclose(found, np.linalg.solve(matrix, target), atol=1e-4)
    assert (np.diff(values) < 0).all()


def test_it_goes_downhill_no_further_than_it_may_and_stays_where_it_is_flat() -> None:
    def steep(point: np.ndarray) -> tuple[float, np.ndarray]:
        return float((point**4 + point**2).sum()), 4 * point**3 + 2 * point

    _, values = minimise(steep, np.full(3, 4.0), max_steps=2)
    assert len(values) == 3
    assert values[2] < values[1] < values[0]
    stays, values = minimise(lambda point: (float((point**2).sum()), 2 * point), np.zeros(2), max_steps=9)
    assert (stays.tolist(), values) == ([0.0, 0.0], [0.0])
