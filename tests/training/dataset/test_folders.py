from pathlib import Path

import pytest

from streamvc.errors import DataError
from streamvc.training.dataset import Dataset, IgnoredFiles, load_dataset, load_videos, merge_labels

from .layouts import touch


def rows(dataset: Dataset) -> list[tuple[str, str, str | None]]:
    return [(clip.path.name, clip.label, clip.split) for clip in dataset.clips]


def test_a_folder_per_label_is_read(tmp_path: Path) -> None:
    touch(tmp_path, "run/a.mp4", "run/b.AVI", "walk/c.mov")
    dataset = load_dataset(tmp_path)
    assert rows(dataset) == [("a.mp4", "run", None), ("b.AVI", "run", None), ("c.mov", "walk", None)]
    assert (dataset.labels, dataset.ignored, dataset.untrimmed) == (("run", "walk"), (), False)


def test_clips_may_lie_deep_beneath_their_label(tmp_path: Path) -> None:
    touch(tmp_path, "run/subject1/day 2/a.mp4", "run/subject2/a.mp4", "walk/subject1/a.mp4")
    dataset = load_dataset(tmp_path)
    assert [(clip.label, clip.group) for clip in dataset.clips] == [("run", "subject1"), ("run", "subject2"), ("walk", "subject1")]
    assert dataset.grouping == "folder"


def test_junk_anywhere_is_counted_by_its_kind_and_never_fatal(tmp_path: Path) -> None:
    touch(tmp_path, "run/a.mp4", "run/deep/b.mp4", "walk/c.mov")
    touch(tmp_path, ".DS_Store", "run/.DS_Store", "run/music-3.DS_Store", "run/Thumbs.db", "walk/desktop.ini", "walk/._c.mov", "walk/deep/._d.mov")
    touch(tmp_path, ".git/config", ".git/HEAD", "run/.ipynb_checkpoints/x.mp4", "__MACOSX/run/a.mp4")
    touch(tmp_path, "notes.txt", "run/deep/readme.txt", "loose.mp4", "run/LICENSE")
    dataset = load_dataset(tmp_path)
    assert [clip.path.name for clip in dataset.clips] == ["a.mp4", "b.mp4", "c.mov"]
    assert set(dataset.ignored) == {
        IgnoredFiles("*.txt", False, 2),
        IgnoredFiles("LICENSE", False, 1),
        IgnoredFiles("videos outside the folders of labels", False, 1),
        IgnoredFiles(".DS_Store", True, 2),
        IgnoredFiles("*.DS_Store", True, 1),
        IgnoredFiles("Thumbs.db", True, 1),
        IgnoredFiles("desktop.ini", True, 1),
        IgnoredFiles("._*", True, 2),
        IgnoredFiles(".git/", True, 1),
        IgnoredFiles(".ipynb_checkpoints/", True, 1),
        IgnoredFiles("__MACOSX/", True, 1),
    }
    assert sum(ignored.num for ignored in dataset.ignored) == 14


@pytest.mark.parametrize(
    ("folders", "sides"),
    [
        (("Train", "TEST"), {"train", "test"}),
        (("train", "validation"), {"train", "test"}),
        (("training", "val"), {"train", "test"}),
        (("train",), {"train"}),
    ],
)
def test_sides_are_folders_of_labels_each(tmp_path: Path, folders: tuple[str, ...], sides: set[str]) -> None:
    for folder in folders:
        touch(tmp_path, f"{folder}/run/{folder}.mp4", f"{folder}/walk/{folder}.mp4", f"{folder}/.DS_Store")
    dataset = load_dataset(tmp_path)
    assert dataset.labels == ("run", "walk")
    assert {clip.split for clip in dataset.clips} == sides
    assert all(clip.split == "train" for clip in dataset.clips if "train" in clip.path.name.lower())
    assert sum(ignored.num for ignored in dataset.ignored) == len(folders)


def test_with_a_test_side_what_is_for_validation_belongs_to_training(tmp_path: Path) -> None:
    touch(tmp_path, *[f"{side}/{label}/{side}.mp4" for side in ("train", "val", "test") for label in ("run", "walk")])
    assert {(clip.path.name, clip.split) for clip in load_dataset(tmp_path).clips} == {
        ("train.mp4", "train"),
        ("val.mp4", "train"),
        ("test.mp4", "test"),
    }


def test_a_label_may_be_called_train(tmp_path: Path) -> None:
    touch(tmp_path, "train/a.mp4", "bus/b.mp4")
    dataset = load_dataset(tmp_path)
    assert dataset.labels == ("bus", "train")
    assert {clip.split for clip in dataset.clips} == {None}


def test_a_folder_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        load_dataset(tmp_path / "nowhere")
    touch(tmp_path, "a.mp4")
    with pytest.raises(DataError, match="holds no folders"):
        load_dataset(tmp_path)
    with pytest.raises(DataError, match="neither a folder"):
        load_dataset(tmp_path / "a.mp4")
    touch(tmp_path, "run/a.mp4")
    with pytest.raises(DataError, match="the one label run"):
        load_dataset(tmp_path)
    touch(tmp_path, "walk/.DS_Store", "sit/notes.txt")
    with pytest.raises(DataError, match=r"no clips in 2 label folders \(sit, walk\)"):
        load_dataset(tmp_path)


def test_sides_without_folders_of_labels_are_refused(tmp_path: Path) -> None:
    touch(tmp_path, "train/a.mp4", "test/b.mp4")
    with pytest.raises(DataError, match="test holds no folders; make one folder of clips per label in it"):
        load_dataset(tmp_path)


def test_links_in_circles_end_and_bring_no_clip_twice(tmp_path: Path) -> None:
    touch(tmp_path, "data/run/a.mp4", "data/walk/slow/b.mp4", "elsewhere/c.mp4")
    data = tmp_path / "data"
    for link, target in [
        ("run/all", ".."),
        ("walk/all", ".."),
        ("walk/slow/up", "../.."),
        ("walk/self", "."),
        ("run/far", "../../elsewhere"),
        ("x", "."),
    ]:
        (data / link).symlink_to(target)
    (tmp_path / "elsewhere/back").symlink_to("../data")  # by a way round
    (data / "run/far2").symlink_to("far")
    assert rows(load_dataset(data)) == [("a.mp4", "run", None), ("c.mp4", "run", None), ("b.mp4", "walk", None)]
    assert sorted(clip.path.name for clip in load_videos(data)) == ["a.mp4", "b.mp4", "c.mp4"]


def test_a_folder_may_itself_be_a_link(tmp_path: Path) -> None:
    touch(tmp_path, "disk/run/a.mp4", "disk/walk/b.mp4")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/run").symlink_to("../disk/run")
    (tmp_path / "data/walk").symlink_to(tmp_path / "disk/walk")
    (tmp_path / "link").symlink_to("data")
    assert rows(load_dataset(tmp_path / "link")) == [("a.mp4", "run", None), ("b.mp4", "walk", None)]


def test_links_that_lead_nowhere_are_no_videos_to_fall_over(tmp_path: Path) -> None:
    touch(tmp_path, "run/a.mp4", "walk/b.mp4")
    (tmp_path / "run/loop").symlink_to("loop")
    (tmp_path / "gone").symlink_to("nowhere")
    assert rows(load_dataset(tmp_path)) == [("a.mp4", "run", None), ("b.mp4", "walk", None)]


@pytest.mark.parametrize(
    ("label", "words"), [("ru\nn", r"ru\\nn holds control"), ("\x1b[2J", r"\\x1b\[2J holds control"), ("r" * 101, "longer than 100")]
)
def test_a_label_that_no_bundle_can_have_is_refused_before_anything_is_trained(tmp_path: Path, label: str, words: str) -> None:
    touch(tmp_path, f"{label}/a.mp4", "walk/c.mov")
    with pytest.raises(DataError, match=words) as caught:
        load_dataset(tmp_path)
    assert str(caught.value).isprintable()
    touch(tmp_path / "sound", "run/a.mp4", "walk/c.mov", "jump/d.mov")
    with pytest.raises(DataError, match=words):
        merge_labels(load_dataset(tmp_path / "sound"), {"run": label})
