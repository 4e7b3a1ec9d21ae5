import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from streamvc.capture.source import open_source
from streamvc.errors import DataError
from streamvc.inference.backbone import Backbone
from streamvc.sampling import Sampler
from streamvc.training.dataset import Clip
from streamvc.training.feature_sequence import FeatureSequence, Thinning
from streamvc.training.features import Extraction, cache_folder, extract
from tests.capture.videos import textured, write_video
from tests.training.clips import render
from tests.training.conftest import BACKBONE

RATE_HZ = 5.0


def assert_same(one: FeatureSequence, other: FeatureSequence) -> None:
    for field in fields(FeatureSequence):
        np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name))


def entries(cache: Path) -> list[Path]:
    return sorted(path for path in cache.rglob("*") if path.is_file())


@pytest.fixture
def clip(rendered_clips: tuple[Clip, ...]) -> Clip:
    return rendered_clips[0]


@pytest.fixture
def sequence(extraction: Extraction) -> FeatureSequence:
    return extraction.sequences[0]


def live(path: Path) -> FeatureSequence:
    """What the live stages make of a file, one after the other."""
    sampler, backbone = Sampler(RATE_HZ), Backbone.load(BACKBONE)
    with open_source(path) as source:
        made = [(backbone.features(frame.image), sample) for frame in source if (sample := sampler.step(frame))]
    return FeatureSequence(
        np.stack([features for features, _ in made]),
        np.array([sample.frame.index for _, sample in made]),
        np.array([sample.timestamp for _, sample in made]),
        np.array([sample.num_ticks for _, sample in made]),
        np.array([sample.gap_s for _, sample in made]),
    )


def test_features_are_those_that_the_live_stages_make(clip: Clip, sequence: FeatureSequence) -> None:
    assert_same(sequence, live(clip.path))
    assert len(sequence.features) == 15  # 3 s at 5 Hz


def layered(path: Path) -> Path:
    """Three seconds with a gap, coded as cameras do: a part of the pictures is needed for others, a part is not."""
    ticks = [*range(38), *range(70, 100)]
    options = {"bf": "3", "x264-params": "b-adapt=0:b-pyramid=normal"}
    return write_video(path, [textured(tick // 3) for tick in ticks], ticks=ticks, options=options)


def damaged(path: Path) -> Path:
    data = bytearray(layered(path).read_bytes())
    data[len(data) // 2 : len(data) // 2 + 300] = bytes(300)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("write", [layered, damaged])
def test_pictures_that_are_not_due_change_nothing_by_not_being_decoded(write: Callable[[Path], Path], tmp_path: Path) -> None:
    path = write(tmp_path / "clip.mp4")
    found = extract([Clip(path, "x", "x")], BACKBONE, RATE_HZ, cache=tmp_path)
    assert_same(found.sequences[0], live(path))
    assert found.sequences[0].gaps_s.any()


def test_a_second_time_they_come_from_the_cache(rendered_clips: tuple[Clip, ...], extraction: Extraction, cache: Path) -> None:
    again = extract(rendered_clips, BACKBONE, RATE_HZ, cache=cache)
    assert again.num_cached == len(rendered_clips)
    for one, other in zip(extraction.sequences, again.sequences, strict=True):
        assert_same(one, other)


def test_the_cache_knows_a_clip_by_its_content(clip: Clip, sequence: FeatureSequence, cache: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copy(clip.path, tmp_path / "moved.mp4"))
    found = extract([Clip(moved, "x", "x")], BACKBONE, RATE_HZ, cache=cache)
    assert found.num_cached == 1
    assert_same(found.sequences[0], sequence)


def test_another_rate_or_backbone_is_another_entry(clip: Clip, sequence: FeatureSequence, cache: Path) -> None:
    assert extract([clip], BACKBONE, 10.0, cache=cache).num_cached == 0
    other = extract([clip], "efficientnet-lite0-int8", RATE_HZ, cache=cache)
    assert other.num_cached == 0
    assert not np.array_equal(other.sequences[0].features, sequence.features)


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: data[:5000] + b"\x00\xff" * 8 + data[5016:]])
def test_a_damaged_entry_is_made_again(clip: Clip, sequence: FeatureSequence, tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    extract([clip], BACKBONE, RATE_HZ, cache=tmp_path)
    (entry,) = entries(tmp_path)
    entry.write_bytes(damage(entry.read_bytes()))
    again = extract([clip], BACKBONE, RATE_HZ, cache=tmp_path)
    assert again.num_cached == 0
    assert_same(again.sequences[0], sequence)
    assert extract([clip], BACKBONE, RATE_HZ, cache=tmp_path).num_cached == 1


KILLED = """
import os, signal, sys
from pathlib import Path
from streamvc.training.dataset import load_dataset
from streamvc.training.features import extract

def advance(_what, num_done, _num):
    if num_done == 2:
        os.kill(os.getpid(), signal.SIGKILL)

extract(load_dataset(Path(sys.argv[1])).clips, "efficientnet-lite0-f16", 5.0, cache=Path(sys.argv[2]), num_workers=2, advance=advance)
"""


def test_what_was_made_before_a_kill_is_kept_and_whole(
    rendered: Path, rendered_clips: tuple[Clip, ...], extraction: Extraction, tmp_path: Path
) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, str(rendered), str(tmp_path)], capture_output=True, check=False)
    assert killed.returncode == -9, killed.stderr
    again = extract(rendered_clips, BACKBONE, RATE_HZ, cache=tmp_path)
    assert 2 <= again.num_cached < len(rendered_clips)
    for one, other in zip(extraction.sequences, again.sequences, strict=True):
        assert_same(one, other)


def test_clips_that_cannot_be_read_are_skipped_and_named(clip: Clip, cache: Path, tmp_path: Path) -> None:
    text, empty, gone = (tmp_path / name for name in ("text.mp4", "empty.mp4", "gone.mp4"))
    text.write_text("no video at all")
    empty.touch()
    bad = [Clip(path, "x", "x") for path in (text, empty, gone)]
    found = extract([*bad, clip], BACKBONE, RATE_HZ, cache=cache)
    assert found.clips == (clip,)
    assert [skipped.clip for skipped in found.skipped] == bad
    assert all(str(skipped.clip.path) in skipped.reason and "\n" not in skipped.reason for skipped in found.skipped)
    with pytest.raises(DataError, match="not one of 3 clips can be used"):
        extract(bad, BACKBONE, RATE_HZ, cache=cache)


def test_a_clip_with_the_bytes_of_another_is_skipped(clip: Clip, cache: Path, tmp_path: Path) -> None:
    twin = Clip(Path(shutil.copy(clip.path, tmp_path / "twin.mp4")), "other", "other")
    found = extract([clip, twin], BACKBONE, RATE_HZ, cache=cache)
    assert found.clips == (clip,)
    assert "the same bytes as" in found.skipped[0].reason


def test_clips_that_end_before_the_warm_up_are_set_apart(clip: Clip, cache: Path, tmp_path: Path) -> None:
    render(tmp_path / "short.mp4", "cross", actor=1, seconds=0.5)
    found = extract([clip, Clip(tmp_path / "short.mp4", "x", "x")], BACKBONE, RATE_HZ, cache=cache)
    lasting = found.lasting(5)
    assert lasting.clips == (clip,)
    assert len(lasting.sequences) == 1
    assert "too short" in lasting.skipped[0].reason
    with pytest.raises(DataError, match="all 2 clips are too short"):
        found.lasting(100)


def test_segments_hold_a_sample_for_its_ticks_and_part_at_gaps() -> None:
    features = np.arange(4, dtype=np.float32)[:, None]
    sequence = FeatureSequence(features, np.arange(4), np.array([0.0, 0.2, 0.6, 3.0]), np.array([1, 1, 2, 1]), np.array([0.0, 0.0, 0.0, 2.4]))
    assert [segment.ravel().tolist() for segment in sequence.stretches()] == [[0, 1, 2, 2], [3]]


def test_a_cache_that_cannot_be_written_is_an_error(clip: Clip, tmp_path: Path) -> None:
    (tmp_path / "features").write_text("a file where a folder is wanted")
    with pytest.raises(DataError, match="--cache"):
        extract([clip], BACKBONE, RATE_HZ, cache=tmp_path)


def test_the_cache_is_where_the_desktop_wants_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "streamvc"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "streamvc"


def test_frames_may_be_missing_evenly_or_at_random_and_that_is_kept_apart(clip: Clip, sequence: FeatureSequence, cache: Path) -> None:
    def thinned(thinning: Thinning) -> FeatureSequence:
        return extract([clip], BACKBONE, RATE_HZ, thinning=thinning, cache=cache).sequences[0]

    half = thinned(Thinning(2.5))
    assert half.num_ticks.tolist() == [1] + 7 * [2]
    np.testing.assert_array_equal(half.features, sequence.features[::2])
    dropped = thinned(Thinning(dropped=0.5))
    assert 3 <= len(dropped.features) <= 12
    assert dropped.num_ticks.max() > 1
    assert_same(dropped, thinned(Thinning(dropped=0.5)))
    assert_same(thinned(Thinning(10.0)), sequence)
