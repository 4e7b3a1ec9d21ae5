from pathlib import Path

import pytest

from streamvc.errors import DataError
from streamvc.training.dataset import IgnoredFiles, load_dataset

from .layouts import touch, write

INDEX = "1 ApplyEyeMakeup\n2 Archery\n"
TRAIN = "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1\r\nArchery/v_Archery_g09_c01.avi 2\r\n\r\n"
TEST = "ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi\nArchery/v_Archery_g02_c01.avi\n"


def make(lists: Path, videos: Path) -> None:
    write(lists / "classInd.txt", INDEX)
    write(lists / "trainlist01.txt", TRAIN)
    write(lists / "testlist01.txt", TEST)
    write(lists / "trainlist02.txt", TEST)
    write(lists / "testlist02.txt", TRAIN)
    touch(videos, *[line.split()[0] for line in (TRAIN + TEST).split("\n") if line.strip()])


@pytest.mark.parametrize("lists", ["lists", "."])
@pytest.mark.parametrize("videos", ["UCF-101", "."])
def test_the_lists_of_ucf101_find_their_videos_and_sides(tmp_path: Path, lists: str, videos: str) -> None:
    make(tmp_path / lists, tmp_path / videos)
    for data in {tmp_path / lists, tmp_path}:
        dataset = load_dataset(data)
        assert [(clip.path.parent.parent, clip.path.name, clip.label, clip.group, clip.split) for clip in dataset.clips] == [
            (tmp_path / videos, "v_ApplyEyeMakeup_g08_c01.avi", "ApplyEyeMakeup", "g08", "train"),
            (tmp_path / videos, "v_Archery_g09_c01.avi", "Archery", "g09", "train"),
            (tmp_path / videos, "v_ApplyEyeMakeup_g01_c01.avi", "ApplyEyeMakeup", "g01", "test"),
            (tmp_path / videos, "v_Archery_g02_c01.avi", "Archery", "g02", "test"),
        ]
        assert dataset.grouping == "name"


def test_the_path_of_a_list_chooses_it(tmp_path: Path) -> None:
    make(tmp_path, tmp_path)
    second = load_dataset(tmp_path / "trainlist02.txt")
    assert [(clip.group, clip.split) for clip in second.clips] == [("g01", "train"), ("g02", "train"), ("g08", "test"), ("g09", "test")]
    only = load_dataset(tmp_path / "testlist01.txt")
    assert [(clip.group, clip.split) for clip in only.clips] == [("g01", "test"), ("g02", "test")]


def test_labels_without_videos_are_left_out_and_counted(tmp_path: Path) -> None:
    make(tmp_path, tmp_path)
    write(tmp_path / "classInd.txt", INDEX + "3 BabyCrawling\n")
    write(tmp_path / "trainlist01.txt", TRAIN + "BabyCrawling/v_BabyCrawling_g08_c01.avi 3\nBabyCrawling/v_BabyCrawling_g08_c02.avi 3\n")
    dataset = load_dataset(tmp_path)
    assert dataset.labels == ("ApplyEyeMakeup", "Archery")
    assert dataset.ignored == (IgnoredFiles("videos of labels that have no folder", False, 2),)


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("classInd.txt", "1 ApplyEyeMakeup\nArchery\n", r"must give a number and a label, and does not in 1 row \(2\)"),
        ("trainlist01.txt", TRAIN + "Archery/v_Archery_g09_c02.avi 1\n", "row 4: .* does not agree with classInd.txt"),
        ("testlist01.txt", TEST + "Running/v_Running_g09_c02.avi\n", "row 3: .* does not agree with classInd.txt"),
        ("testlist01.txt", TEST + "Archery/v_Archery_g01_c01.avi\n", r"lacks 1 file \(Archery/v_Archery_g01_c01.avi\)"),
    ],
)
def test_lists_that_make_no_sense_are_refused(tmp_path: Path, name: str, text: str, complaint: str) -> None:
    make(tmp_path, tmp_path)
    write(tmp_path / name, text)
    with pytest.raises(DataError, match=complaint):
        load_dataset(tmp_path)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    write(tmp_path / "lists" / "classInd.txt", INDEX)
    write(tmp_path / "lists" / "trainlist01.txt", TRAIN)
    with pytest.raises(DataError, match=r"has no testlist01.txt beside it"):
        load_dataset(tmp_path)
    write(tmp_path / "lists" / "testlist01.txt", TEST)
    with pytest.raises(DataError, match="holds a folder of videos per label"):
        load_dataset(tmp_path)
    (tmp_path / "lists" / "classInd.txt").unlink()
    with pytest.raises(DataError, match=r"classInd.txt cannot be read"):
        load_dataset(tmp_path / "lists" / "trainlist01.txt")


def test_lists_that_windows_wrote(tmp_path: Path) -> None:
    make(tmp_path, tmp_path)
    for path in tmp_path.glob("*list01.txt"):
        path.write_bytes(path.read_text().replace("/", "\\").replace("\n", "\r\n").encode("utf-16"))
    assert [(clip.label, clip.group, clip.split) for clip in load_dataset(tmp_path).clips] == [
        ("ApplyEyeMakeup", "g08", "train"),
        ("Archery", "g09", "train"),
        ("ApplyEyeMakeup", "g01", "test"),
        ("Archery", "g02", "test"),
    ]
