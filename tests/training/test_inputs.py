import numpy as np
import pytest

from streamvc.training.basis import fit_basis
from streamvc.training.windows import Ticks, lay_out

NUM_FEATURES, NUM_SEEN, NUM_MOVING = 30, 8, 5


@pytest.fixture
def ticks() -> Ticks:
    rng = np.random.default_rng(1)
    scales = np.geomspace(5, 0.05, NUM_FEATURES)
    mixed = rng.normal(size=(NUM_FEATURES, NUM_FEATURES))
    clips = [[((rng.normal(size=(20, NUM_FEATURES)) * scales) @ mixed + 7).astype(np.float32)] for _ in range(20)]
    return lay_out(clips)


def test_what_is_seen_are_the_principal_components(ticks: Ticks) -> None:
    basis = fit_basis(ticks, NUM_SEEN, NUM_MOVING)
    seen = basis.inputs(ticks)[:, :NUM_SEEN]
    normal = (ticks.features - ticks.features.mean(axis=0)) / ticks.features.std(axis=0)
    expected = np.sort(np.linalg.eigvalsh(normal.T @ normal / len(normal)))[::-1][:NUM_SEEN]
    found = seen.var(axis=0)
    np.testing.assert_allclose(found / found.sum(), expected / expected.sum(), rtol=0.02)
    np.testing.assert_allclose(np.corrcoef(seen.T), np.eye(NUM_SEEN), atol=0.02)


def test_inputs_have_a_mean_square_of_one(ticks: Ticks) -> None:
    inputs = fit_basis(ticks, NUM_SEEN, NUM_MOVING).inputs(ticks)
    assert (inputs[:, :NUM_SEEN] ** 2).mean() == pytest.approx(1, rel=0.01)
    assert (np.delete(inputs, ticks.starts, axis=0)[:, NUM_SEEN:] ** 2).mean() == pytest.approx(1, rel=0.05)


def test_movement_is_the_size_of_the_change_and_none_at_a_start(ticks: Ticks) -> None:
    basis = fit_basis(ticks, NUM_SEEN, NUM_MOVING)
    moving = basis.inputs(ticks)[:, NUM_SEEN:]
    coordinates = ticks.features @ basis.matrix[:, NUM_SEEN:]
    np.testing.assert_allclose(moving[1:20], np.abs(np.diff(coordinates[:20], axis=0)), atol=1e-4)
    assert not moving[ticks.starts].any()


def test_a_picture_that_stands_still_does_not_move(ticks: Ticks) -> None:
    basis = fit_basis(ticks, NUM_SEEN, NUM_MOVING)
    still = lay_out([[np.repeat(ticks.features[:1], 10, axis=0)]])
    assert not basis.inputs(still)[:, NUM_SEEN:].any()


def test_a_feature_that_never_changes_has_no_weight(ticks: Ticks) -> None:
    features = ticks.features.copy()
    features[:, 3] = 2.5
    basis = fit_basis(Ticks(features, ticks.starts, ticks.lengths, ticks.clips), NUM_SEEN, NUM_MOVING)
    assert not basis.matrix[3].any()
    assert np.isfinite(basis.matrix).all()


def test_no_more_components_are_made_than_there_are_features(ticks: Ticks) -> None:
    assert fit_basis(ticks, 100, 100).inputs(ticks).shape[1] == 2 * NUM_FEATURES
