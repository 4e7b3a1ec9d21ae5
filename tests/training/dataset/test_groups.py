from pathlib import Path

import pytest

from streamvc.errors import DataError
from streamvc.training.dataset import load_dataset

from .layouts import touch, write


def test_names_like_those_of_ucf101_have_a_group(tmp_path: Path) -> None:
    touch(tmp_path, "Run/v_Run_g08_c01.avi", "Run/v_Run_g08_c02.avi", "Run/v_Run_g09_c01.avi", "Walk/v_Walk_g08_c01.avi")
    dataset = load_dataset(tmp_path)
    assert [clip.group for clip in dataset.clips] == ["g08", "g08", "g09", "g08"]
    assert (dataset.grouping, dataset.num_groups) == ("name", 2)


def test_without_a_pattern_each_file_is_its_own_group(tmp_path: Path) -> None:
    touch(tmp_path, "run/a.mp4", "run/b.mp4", "walk/a.mp4")
    dataset = load_dataset(tmp_path)
    assert (dataset.grouping, dataset.num_groups) == ("file", 3)


def test_where_clips_differ_the_weakest_way_is_told(tmp_path: Path) -> None:
    touch(tmp_path, "run/v_run_g01_c01.mp4", "walk/subject2/b.mp4")
    table = write(tmp_path / "list.csv", "path,label,group\nrun/v_run_g01_c01.mp4,run,p1\nwalk/subject2/b.mp4,walk,\n")
    dataset = load_dataset(table)
    assert [clip.group for clip in dataset.clips] == ["p1", "subject2"]
    assert dataset.grouping == "folder"


def test_folders_above_the_data_name_no_group(tmp_path: Path) -> None:
    touch(tmp_path, "subject1/data/run/a.mp4", "subject1/data/walk/b.mp4")
    assert load_dataset(tmp_path / "subject1" / "data").grouping == "file"


def test_a_pattern_finds_groups_in_paths(tmp_path: Path) -> None:
    touch(tmp_path, "run/tom-1.mp4", "run/ann-1.mp4", "walk/tom-2.mp4")
    for pattern in (r"([a-z]+)-\d", r"tom|ann", r"/(?:x|(\w+))-"):
        dataset = load_dataset(tmp_path, pattern)
        assert [clip.group for clip in dataset.clips] == ["ann", "tom", "tom"]
        assert dataset.grouping == "pattern"


def test_a_pattern_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "run/tom-1.mp4", "walk/somebody.mp4")
    with pytest.raises(DataError, match=r"does not occur in walk/somebody.mp4"):
        load_dataset(tmp_path, r"(\w+)-\d")
    with pytest.raises(DataError, match="no regular expression"):
        load_dataset(tmp_path, "(")
