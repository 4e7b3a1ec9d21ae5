from pathlib import Path

import pytest

from streamvc.errors import DataError
from streamvc.training.dataset import load_dataset, merge_labels

from .layouts import touch, write

HEAD = "video,start_s,end_s,label\n"


def test_segments_that_touch_become_one(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4", "b.mp4")
    rows = ["a.mp4,2,4,falling", "a.mp4,4.2,9,fallen", "a.mp4,12,14,fallen", "a.mp4,3,5,walk", "b.mp4,0,3,falling", "b.mp4,1,2,fallen"]
    write(tmp_path / "segments.csv", HEAD + "\n".join(rows))
    assert merge_labels(load_dataset(tmp_path), {}) == load_dataset(tmp_path)
    merged = merge_labels(load_dataset(tmp_path), {"fallen": "fall", "falling": "fall"})
    assert merged.labels == ("fall", "nothing", "walk")
    assert [(clip.path.name, clip.start_s, clip.end_s, clip.label) for clip in merged.clips] == [
        ("a.mp4", 0.0, 2.0, "nothing"),
        ("a.mp4", 2.0, 9.0, "fall"),
        ("a.mp4", 3.0, 5.0, "walk"),
        ("a.mp4", 9.0, 12.0, "nothing"),
        ("a.mp4", 12.0, 14.0, "fall"),
        ("a.mp4", 14.0, None, "nothing"),
        ("b.mp4", 0.0, 3.0, "fall"),
        ("b.mp4", 3.0, None, "nothing"),
    ]


def test_trimmed_clips_are_renamed(tmp_path: Path) -> None:
    touch(tmp_path, "run/a.mp4", "jog/b.mp4", "idle/c.mp4")
    merged = merge_labels(load_dataset(tmp_path), {"jog": "run"})
    assert [(clip.path.name, clip.label) for clip in merged.clips] == [("c.mp4", "idle"), ("b.mp4", "run"), ("a.mp4", "run")]


@pytest.mark.parametrize(("merge", "message"), [({"swim": "run"}, "no clip has the label swim"), ({"jog": "run"}, "the one label that is left")])
def test_what_cannot_be_merged_is_refused(tmp_path: Path, merge: dict[str, str], message: str) -> None:
    touch(tmp_path, "run/a.mp4", "jog/b.mp4")
    with pytest.raises(DataError, match=message):
        merge_labels(load_dataset(tmp_path), merge)
