from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamvc.errors import DataError
from streamvc.training.dataset import Dataset, IgnoredFiles, load_dataset

from .layouts import touch, write

HEAD = "video,start_s,end_s,label\n"


def spans(dataset: Dataset) -> list[tuple[str, float, float | None, str]]:
    return [(clip.path.name, clip.start_s, clip.end_s, clip.label) for clip in dataset.clips]


def test_what_no_segment_covers_is_nothing(tmp_path: Path) -> None:
    touch(tmp_path, "videos/a.mp4", "videos/b.mp4", "videos/c.mp4", "background/empty.mp4", "background/.DS_Store")
    write(tmp_path / "segments.csv", HEAD + "b.mp4,0,4,sit\na.mp4,6,8.5,walk\na.mp4,1.5,3,sit\na.mp4,2.8,5.5,walk\n")
    dataset = load_dataset(tmp_path)
    assert spans(dataset) == [
        ("a.mp4", 0.0, 1.5, "nothing"),
        ("a.mp4", 1.5, 3.0, "sit"),
        ("a.mp4", 2.8, 5.5, "walk"),
        ("a.mp4", 6.0, 8.5, "walk"),  # the half second before it is too short for a clip
        ("a.mp4", 8.5, None, "nothing"),
        ("b.mp4", 0.0, 4.0, "sit"),
        ("b.mp4", 4.0, None, "nothing"),
        ("empty.mp4", 0.0, None, "nothing"),
    ]
    assert (dataset.background, dataset.untrimmed) == ("nothing", True)
    assert dataset.ignored == (IgnoredFiles("videos without a segment", False, 1),)
    assert dataset.num_groups == 3


def test_a_table_with_its_own_label_for_nothing_has_said_where_it_is(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4")
    write(tmp_path / "segments.csv", HEAD + "a.mp4,2,4,walk\na.mp4,6,8,Nothing\n")
    dataset = load_dataset(tmp_path / "segments.csv")
    assert spans(dataset) == [("a.mp4", 2.0, 4.0, "walk"), ("a.mp4", 6.0, 8.0, "Nothing")]
    assert dataset.background == "Nothing"


def test_the_group_is_the_column_the_subjects_folder_or_the_video(tmp_path: Path) -> None:
    touch(tmp_path, "subject1/a.mp4", "subject1/b.mp4", "subject2/a.mp4")
    text = "subject1/a.mp4,0,3,walk\nsubject1/b.mp4,0,3,sit\nsubject2/a.mp4,0,3,walk\n"
    write(tmp_path / "segments.csv", HEAD + text)
    by_folder = load_dataset(tmp_path)
    assert {(clip.path.parent.name, clip.group) for clip in by_folder.clips} == {("subject1", "subject1"), ("subject2", "subject2")}
    rows = "".join(f"{row},{group}\n" for row, group in zip(text.splitlines(), "xyz", strict=True))
    write(tmp_path / "segments.csv", HEAD.replace("label", "label,group") + rows)
    by_column = load_dataset(tmp_path)
    assert {clip.group for clip in by_column.clips} == set("xyz")  # the time between segments too
    assert by_column.grouping == "column"


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 15)), min_size=1, max_size=8, unique=True))
def test_nothing_is_all_the_time_that_no_segment_covers(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, int]]) -> None:
    root = tmp_path_factory.mktemp("segments")
    touch(root, "a.mp4")
    text = "".join(f"a.mp4,{start},{start + length},walk\n" for start, length in rows)
    clips = load_dataset(write(root / "segments.csv", HEAD + text)).clips
    covered = [sum(clip.start_s <= second < (clip.end_s or 99) for clip in clips if clip.label == "nothing") for second in range(60)]
    walked = [any(start <= second < start + length for start, length in rows) for second in range(60)]
    assert covered == [0 if walk else 1 for walk in walked]


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("a.mp4,5,5,sit", "row 3: a segment cannot last from 5 s to 5 s"),
        ("a.mp4,6,5,sit", "row 3: a segment cannot last from 6 s to 5 s"),
        ("a.mp4,-1,5,sit", "row 3: a segment cannot last from -1 s"),
        ("a.mp4,0,nan,sit", "row 3: a segment cannot last"),
        ("a.mp4,0:10,0:20,sit", "row 3: 0:10 and 0:20 must be seconds"),
        ("a.mp4,1,,sit", r"lacks a path, a label or a time in 1 row \(3\)"),
        ("b.mp4,1,2,sit", r"names 1 file \(b.mp4\) that does not exist"),
        ("a.mp4,1,2,walk", "row 3: the same segment as in row 2"),
    ],
)
def test_a_row_that_makes_no_sense_is_named(tmp_path: Path, row: str, complaint: str) -> None:
    touch(tmp_path, "a.mp4")
    with pytest.raises(DataError, match=complaint):
        load_dataset(write(tmp_path / "segments.csv", f"{HEAD}a.mp4,1,2,walk\n{row}\n"))


def test_a_video_in_two_groups_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4")
    text = "video,start_s,end_s,label,group\na.mp4,1,2,walk,x\na.mp4,3,4,sit,y\n"
    with pytest.raises(DataError, match=r"puts a.mp4 into more than one group"):
        load_dataset(write(tmp_path / "segments.csv", text))


def test_the_real_untrimmed_videos(shared_data: Path) -> None:
    ceiling = load_dataset(shared_data / "ceiling")
    assert (len(ceiling.labels), ceiling.num_groups, ceiling.background) == (10, 15, "nothing")
    assert sum(clip.label != "nothing" for clip in ceiling.clips) == 163
    assert {clip.group for clip in load_dataset(shared_data / "fall").clips} == {"subject1", "subject2", "subject3"}
