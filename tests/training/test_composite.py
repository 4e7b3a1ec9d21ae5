"""A head over several parts: trained, exported, and live as it was measured, to the last bit."""

from collections.abc import Collection
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from streamvc.inference.backbone import find_backbone
from streamvc.inference.bundle import load_bundle
from streamvc.inference.recognizer import Recognizer
from streamvc.training.dataset import Clip
from streamvc.training.evaluate import evaluate
from streamvc.training.features import extract
from streamvc.training.recipes import plan_for
from tests.inference.figure import figure_images
from tests.training.test_recipes import SMALL, assert_live_is_offline

pytestmark = pytest.mark.train

NAME = "pose+efficientnet-lite0-f16:person+efficientnet-lite0-f16:movement:difference"
MISSING = {3, 4, 20, 22, 23, *range(26, 33)}  # of 5 frames a second: some alone, and a gap of more than a second


@pytest.fixture(scope="module")
def clips(demo_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty room, and somebody in it, from three groups that differ in their light."""
    images, root = figure_images(demo_clip, 42), tmp_path_factory.mktemp("clips")
    for group, gain in enumerate((1.0, 0.8, 0.6)):
        lit = [(image[::2, ::2] * gain).astype(np.uint8) for image in images]
        write(root / "empty" / f"v_empty_g{group:02}_c01.mp4", lit[:10])
        write(root / "person" / f"v_person_g{group:02}_c01.mp4", lit[-14:])
    write(root.parent / "broken.mp4", [image[::2, ::2] for image in images], MISSING)
    return root


def write(path: Path, images: list[np.ndarray], missing: Collection[int] = ()) -> None:
    """Write images as a video of 5 frames a second, without some of them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt, stream.bit_rate = "yuv420p", 2_000_000
        for number, image in enumerate(images):
            if number not in missing:
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="bgr24")
                frame.pts, frame.time_base = number, Fraction(1, 5)
                container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest.mark.slow
def test_it_trains_exports_and_streams_as_it_was_measured(clips: Path, tmp_path: Path) -> None:
    from streamvc.training.train import train

    out, cache = tmp_path / "models" / "joined", tmp_path / "cache"
    report = train(clips, out, plan_for("gru", backbone=NAME, settings=SMALL, num_folds=3), cache=cache)
    bundle = load_bundle(out)
    assert bundle.manifest.extractor == NAME
    assert [folder.name for folder in bundle.find_backbones()] == ["blazepose", "efficientnet-lite0-f16"]
    assert "one person" in (out / "CARD.md").read_text()
    assert evaluate(out, clips, cache=cache).num_clips == report.pooled.num_clips == 6

    broken = clips.parent / "broken.mp4"
    sequence = extract([Clip(broken, "", "")], NAME, 5.0, cache=cache).sequences[0]
    assert set(sequence.num_ticks) == {1, 2, 3}
    assert (sequence.gaps_s > 0).sum() == 1
    assert_live_is_offline(Recognizer.load(out), broken, NAME, cache)
    assert extract([Clip(broken, "", "")], str(out), 5.0, cache=cache).num_cached == 1  # the bundle's own extractor has the same identity


def test_what_a_plain_backbone_sees_is_not_in_the_way(clips: Path, tmp_path: Path) -> None:
    broken, folder = Clip(clips.parent / "broken.mp4", "", ""), find_backbone("efficientnet-lite0-f16")
    extract([broken], "efficientnet-lite0-f16", 5.0, cache=tmp_path)
    assert extract([broken], f"{folder}:whole", 5.0, cache=tmp_path).num_cached == 1
    assert extract([broken], "efficientnet-lite0-f16:difference", 5.0, cache=tmp_path).num_cached == 0
