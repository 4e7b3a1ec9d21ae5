"""What a bundle's extractor is compared with: the networks that a frame passes, and nothing else."""

from pathlib import Path

import pytest

from streamvc.bench.rate import bare_passes, open_bare
from streamvc.errors import StreamvcError
from streamvc.inference.bundle import load_bundle, write_bundle
from tests.inference.figure import figure_files, joined_settings
from tests.inference.settings import BACKBONE, settings

MAP = (224, 224, 3)


def test_a_bundle_of_several_parts_passes_all_their_networks(tmp_path: Path) -> None:
    joined = write_bundle(tmp_path / "person", joined_settings(f"{BACKBONE}:person"), figure_files())
    assert [model.input.shape for model in open_bare(joined, None, 1)] == [(1, 256, 256, 3), (1, 224, 224, 3)]
    assert [model.input.shape for model in open_bare(load_bundle("figure"), None, 1)] == [(1, 224, 224, 3)]
    assert len(bare_passes(open_bare(joined, None, 1), num_passes=3)) == 3


def test_a_bundle_that_sees_pictures_has_none_to_compare_with(tmp_path: Path) -> None:
    seen = settings(backbone=None, pictures="colour", feature_size=224 * 224 * 3, feature_map=MAP)
    bundle = write_bundle(tmp_path / "small", seen, {"project.tflite": b"a", "step.tflite": b"b", "CARD.md": b"c"})
    with pytest.raises(StreamvcError, match="has no backbone to compare with"):
        open_bare(bundle, None, 1)
