from dataclasses import replace

import numpy as np
import pytest

from streamvc.training.inputs import FEW, Basis, fit_basis, fit_inputs, input_sizes, see_change
from streamvc.training.plan import HeadSettings
from streamvc.training.tensorflow import keras
from streamvc.training.windows import Ticks, lay_out

NUM_FEATURES, NUM_SEEN, NUM_MOVING = 30, 8, 5


@pytest.fixture
def ticks() -> Ticks:
    rng = np.random.default_rng(1)
    scales = np.geomspace(5, 0.05, NUM_FEATURES)
    mixed = rng.normal(size=(NUM_FEATURES, NUM_FEATURES))
    clips = [[((rng.normal(size=(20, NUM_FEATURES)) * scales) @ mixed + 7).astype(np.float32)] for _ in range(20)]
    return lay_out(clips)


def inputs_of(basis: Basis, ticks: Ticks) -> np.ndarray:
    """What a head is given of whole stretches, (S, T, K)."""
    return see_change(basis.apply(ticks.features).reshape(len(ticks.starts), -1, basis.size), basis.num_seen)


def test_what_is_seen_are_the_principal_components(ticks: Ticks) -> None:
    basis = fit_basis(ticks, NUM_SEEN, NUM_MOVING)
    seen = basis.apply(ticks.features)[:, :NUM_SEEN]
    normal = (ticks.features - ticks.features.mean(axis=0)) / ticks.features.std(axis=0)
    expected = np.sort(np.linalg.eigvalsh(normal.T @ normal / len(normal)))[::-1][:NUM_SEEN]
    found = seen.var(axis=0)
    np.testing.assert_allclose(found / found.sum(), expected / expected.sum(), rtol=0.02)
    np.testing.assert_allclose(np.corrcoef(seen.T), np.eye(NUM_SEEN), atol=0.02)


def test_inputs_have_a_mean_square_of_one(ticks: Ticks) -> None:
    inputs = inputs_of(fit_basis(ticks, NUM_SEEN, NUM_MOVING), ticks)
    assert (inputs[..., :NUM_SEEN] ** 2).mean() == pytest.approx(1, rel=0.01)
    assert (inputs[:, 1:, NUM_SEEN:] ** 2).mean() == pytest.approx(1, rel=0.05)


def test_movement_is_the_size_of_the_change_and_none_at_a_start(ticks: Ticks) -> None:
    basis = fit_basis(ticks, NUM_SEEN, NUM_MOVING)
    moving = inputs_of(basis, ticks)[..., NUM_SEEN:]
    coordinates = ticks.features @ basis.matrix[:, NUM_SEEN:]
    np.testing.assert_allclose(moving[0, 1:], np.abs(np.diff(coordinates[:20], axis=0)), atol=1e-4)
    assert not moving[:, 0].any()


def test_a_picture_that_stands_still_does_not_move(ticks: Ticks) -> None:
    basis = fit_basis(ticks, NUM_SEEN, NUM_MOVING)
    still = lay_out([[np.repeat(ticks.features[:1], 10, axis=0)]])
    assert not inputs_of(basis, still)[..., NUM_SEEN:].any()


def test_a_feature_that_never_changes_has_no_weight(ticks: Ticks) -> None:
    features = ticks.features.copy()
    features[:, 3] = 2.5
    basis = fit_basis(replace(ticks, features=features), NUM_SEEN, NUM_MOVING)
    assert not basis.matrix[3].any()
    assert np.isfinite(basis.matrix).all()


def test_no_more_components_are_made_than_there_are_features(ticks: Ticks) -> None:
    basis = fit_basis(ticks, 100, 100)
    assert (basis.size, basis.num_seen) == (2 * NUM_FEATURES, NUM_FEATURES)


@pytest.mark.parametrize(("kind", "low", "high"), [("standard", -7.0, 7.0), ("unit", 0.0, 1.0), ("raw", -1e9, 1e9)])
def test_features_are_scaled_as_they_were_asked_for(ticks: Ticks, kind: str, low: float, high: float) -> None:
    inputs = fit_inputs(ticks, HeadSettings(inputs=kind))  # type: ignore[arg-type]
    scaled = inputs.apply(ticks.features)
    assert low - 1e-6 <= scaled.min()
    assert scaled.max() <= high + 1e-6
    if kind == "standard":
        np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-4)
        np.testing.assert_allclose(scaled.std(axis=0), 1, atol=1e-4)
    if kind == "unit":
        assert (scaled.min(), scaled.max()) == pytest.approx((0, 1), abs=1e-5)
    if kind == "raw":
        np.testing.assert_array_equal(scaled, ticks.features)


def test_parts_of_few_numbers_count_each_by_itself_and_large_ones_by_their_components(ticks: Ticks) -> None:
    large = np.random.default_rng(2).normal(size=(len(ticks.features), FEW + 1)).astype(np.float32)
    joined = replace(ticks, features=np.concatenate([ticks.features, large], axis=1))
    settings = HeadSettings(inputs="parts", num_seen=NUM_SEEN)
    sizes = (NUM_FEATURES, FEW + 1)
    inputs = fit_inputs(joined, settings, sizes)
    assert (inputs.size, inputs.num_seen) == input_sizes(sizes, settings) == (NUM_FEATURES + NUM_SEEN, NUM_FEATURES + NUM_SEEN)
    found = inputs.apply(joined.features)
    standard = fit_inputs(ticks, HeadSettings(inputs="standard"))
    np.testing.assert_array_equal(found[:, :NUM_FEATURES], standard.apply(ticks.features))
    basis = fit_basis(replace(ticks, features=large), NUM_SEEN, 0)
    np.testing.assert_array_equal(found[:, NUM_FEATURES:], basis.apply(large))
    np.testing.assert_allclose(np.asarray(inputs.apply(keras.ops.convert_to_tensor(joined.features))), found, atol=1e-4)
