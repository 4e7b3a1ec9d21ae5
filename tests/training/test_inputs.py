from dataclasses import replace

import numpy as np
import pytest

from streamvc.training.inputs import FEW, PrincipalComponents, fit_components, fit_inputs, input_sizes, take_deltas
from streamvc.training.plan import HeadSettings
from streamvc.training.tensorflow import keras
from streamvc.training.windows import FeatureTable, build_table

NUM_FEATURES, NUM_SEEN, NUM_MOVING = 30, 8, 5


@pytest.fixture
def table() -> FeatureTable:
    rng = np.random.default_rng(1)
    scales = np.geomspace(5, 0.05, NUM_FEATURES)
    mixed = rng.normal(size=(NUM_FEATURES, NUM_FEATURES))
    clips = [[((rng.normal(size=(20, NUM_FEATURES)) * scales) @ mixed + 7).astype(np.float32)] for _ in range(20)]
    return build_table(clips)


def inputs_of(basis: PrincipalComponents, table: FeatureTable) -> np.ndarray:
    """What a head is given of whole stretches, (S, T, K)."""
    return take_deltas(basis.apply(table.features).reshape(len(table.starts), -1, basis.size), basis.num_static)


def test_what_is_seen_are_the_principal_components(table: FeatureTable) -> None:
    basis = fit_components(table, NUM_SEEN, NUM_MOVING)
    seen = basis.apply(table.features)[:, :NUM_SEEN]
    normal = (table.features - table.features.mean(axis=0)) / table.features.std(axis=0)
    expected = np.sort(np.linalg.eigvalsh(normal.T @ normal / len(normal)))[::-1][:NUM_SEEN]
    found = seen.var(axis=0)
    np.testing.assert_allclose(found / found.sum(), expected / expected.sum(), rtol=0.02)
    np.testing.assert_allclose(np.corrcoef(seen.T), np.eye(NUM_SEEN), atol=0.02)


def test_inputs_have_a_mean_square_of_one(table: FeatureTable) -> None:
    inputs = inputs_of(fit_components(table, NUM_SEEN, NUM_MOVING), table)
    assert (inputs[..., :NUM_SEEN] ** 2).mean() == pytest.approx(1, rel=0.01)
    assert (inputs[:, 1:, NUM_SEEN:] ** 2).mean() == pytest.approx(1, rel=0.05)


def test_movement_is_the_size_of_the_change_and_none_at_a_start(table: FeatureTable) -> None:
    basis = fit_components(table, NUM_SEEN, NUM_MOVING)
    moving = inputs_of(basis, table)[..., NUM_SEEN:]
    coordinates = table.features @ basis.matrix[:, NUM_SEEN:]
    np.testing.assert_allclose(moving[0, 1:], np.abs(np.diff(coordinates[:20], axis=0)), atol=1e-4)
    assert not moving[:, 0].any()


def test_a_picture_that_stands_still_does_not_move(table: FeatureTable) -> None:
    basis = fit_components(table, NUM_SEEN, NUM_MOVING)
    still = build_table([[np.repeat(table.features[:1], 10, axis=0)]])
    assert not inputs_of(basis, still)[..., NUM_SEEN:].any()


def test_a_feature_that_never_changes_has_no_weight(table: FeatureTable) -> None:
    features = table.features.copy()
    features[:, 3] = 2.5
    basis = fit_components(replace(table, features=features), NUM_SEEN, NUM_MOVING)
    assert not basis.matrix[3].any()
    assert np.isfinite(basis.matrix).all()


def test_no_more_components_are_made_than_there_are_features(table: FeatureTable) -> None:
    basis = fit_components(table, 100, 100)
    assert (basis.size, basis.num_static) == (2 * NUM_FEATURES, NUM_FEATURES)


@pytest.mark.parametrize(("kind", "low", "high"), [("standard", -7.0, 7.0), ("unit", 0.0, 1.0), ("raw", -1e9, 1e9)])
def test_features_are_scaled_as_they_were_asked_for(table: FeatureTable, kind: str, low: float, high: float) -> None:
    inputs = fit_inputs(table, HeadSettings(inputs=kind))  # type: ignore[arg-type]
    scaled = inputs.apply(table.features)
    assert low - 1e-6 <= scaled.min()
    assert scaled.max() <= high + 1e-6
    if kind == "standard":
        np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-4)
        np.testing.assert_allclose(scaled.std(axis=0), 1, atol=1e-4)
    if kind == "unit":
        assert (scaled.min(), scaled.max()) == pytest.approx((0, 1), abs=1e-5)
    if kind == "raw":
        np.testing.assert_array_equal(scaled, table.features)


def test_parts_of_few_numbers_count_each_by_itself_and_large_ones_by_their_components(table: FeatureTable) -> None:
    large = np.random.default_rng(2).normal(size=(len(table.features), FEW + 1)).astype(np.float32)
    joined = replace(table, features=np.concatenate([table.features, large], axis=1))
    settings = HeadSettings(inputs="parts", num_static=NUM_SEEN)
    sizes = (NUM_FEATURES, FEW + 1)
    inputs = fit_inputs(joined, settings, sizes)
    assert (inputs.size, inputs.num_static) == input_sizes(sizes, settings) == (NUM_FEATURES + NUM_SEEN, NUM_FEATURES + NUM_SEEN)
    found = inputs.apply(joined.features)
    standard = fit_inputs(table, HeadSettings(inputs="standard"))
    np.testing.assert_array_equal(found[:, :NUM_FEATURES], standard.apply(table.features))
    basis = fit_components(replace(table, features=large), NUM_SEEN, 0)
    np.testing.assert_array_equal(found[:, NUM_FEATURES:], basis.apply(large))
    np.testing.assert_allclose(np.asarray(inputs.apply(keras.ops.convert_to_tensor(joined.features))), found, atol=1e-4)
