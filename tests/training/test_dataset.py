from pathlib import Path

import pytest

from streamvc.errors import DataError
from streamvc.training.dataset import load_dataset


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")


def write_csv(root: Path, text: str, *clips: str) -> Path:
    touch(root, *clips)
    (root / "list.csv").write_text(text, encoding="utf-8")
    return root / "list.csv"


def test_a_folder_per_label_is_read_and_its_junk_is_counted(tmp_path: Path) -> None:
    touch(tmp_path, "run/a.mp4", "run/b.AVI", "walk/c.mov", ".git/config", ".ipynb_checkpoints/x.mp4", "__MACOSX/run/a.mp4")
    touch(tmp_path, "notes.txt", "run/.DS_Store", "run/music-3.DS_Store", "run/Thumbs.db", "walk/desktop.ini", "walk/._c.mov", "walk/readme.txt")
    dataset = load_dataset(tmp_path)
    assert [(clip.path.name, clip.label) for clip in dataset.clips] == [("a.mp4", "run"), ("b.AVI", "run"), ("c.mov", "walk")]
    assert dataset.labels == ("run", "walk")
    assert dataset.num_ignored == 7


def test_groups_of_a_folder_come_from_names_like_those_of_ucf101(tmp_path: Path) -> None:
    touch(tmp_path, "Run/v_Run_g08_c01.avi", "Run/v_Run_g08_c02.avi", "Run/v_Run_g09_c01.avi", "Walk/v_Walk_g08_c01.avi")
    dataset = load_dataset(tmp_path)
    assert [clip.group for clip in dataset.clips] == ["g08", "g08", "g09", "g08"]
    assert (dataset.grouping, dataset.num_groups) == ("name", 2)


def test_without_a_pattern_each_file_is_its_own_group(tmp_path: Path) -> None:
    touch(tmp_path, "run/a.mp4", "run/b.mp4", "walk/a.mp4")
    dataset = load_dataset(tmp_path)
    assert (dataset.grouping, dataset.num_groups) == ("file", 3)


def test_a_csv_is_read_with_paths_relative_to_itself(tmp_path: Path) -> None:
    table = write_csv(
        tmp_path, "\ufeffpath, label,group\nx/a.mp4,run,p1\nx/b.mp4,walk,p2\nx/.DS_Store,walk,p2\n", "x/a.mp4", "x/b.mp4", "x/.DS_Store"
    )
    dataset = load_dataset(table)
    assert [(clip.path, clip.label, clip.group) for clip in dataset.clips] == [
        (tmp_path / "x/a.mp4", "run", "p1"),
        (tmp_path / "x/b.mp4", "walk", "p2"),
    ]
    assert (dataset.grouping, dataset.num_ignored) == ("column", 1)


def test_a_folder_that_holds_a_clips_csv_is_read_by_it(tmp_path: Path) -> None:
    touch(tmp_path, "run/a.mp4", "run/b.mp4", "walk/c.mp4")
    (tmp_path / "clips.csv").write_text("path,label\nrun/a.mp4,fast\nwalk/c.mp4,slow\n")
    assert load_dataset(tmp_path).labels == ("fast", "slow")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("video,label\na.mp4,run\n", "no column path"),
        ("video,tag\na.mp4,run\n", "no column path and no column label"),
        ("path,label\na.mp4,run\nb.mp4,\n", r"lacks a path or a label in 1 row \(3\)"),
        ("path,label\na.mp4,run\nb.mp4,walk\na.mp4,walk\n", r"names 1 file \(a.mp4\) more than once"),
        ("path,label\na.mp4,run\nv.mp4,x\nw.mp4,x\nx.mp4,x\ny.mp4,x\n", r"names 4 files \(v.mp4, w.mp4, x.mp4, ...\) that do not exist"),
        ("path,label\na.mp4,run\nb.mp4,run\n", "one label run"),
        ("path,label\n", "no video files"),
        ("", "no column path"),
    ],
)
def test_a_csv_that_cannot_be_used_is_refused_in_one_line(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(DataError, match=complaint) as caught:
        load_dataset(write_csv(tmp_path, text, "a.mp4", "b.mp4"))
    assert "\n" not in str(caught.value)


def test_a_csv_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "clips.csv").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(DataError, match="cannot be read as a CSV"):
        load_dataset(tmp_path)


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
