from pathlib import Path
from typing import Literal
from unicodedata import normalize

import pytest

from streamvc.errors import DataError
from streamvc.training.dataset import Dataset, IgnoredFiles, load_dataset, merge_labels

from .layouts import touch, write

NormalForm = Literal["NFC", "NFD"]


def rows(dataset: Dataset, root: Path) -> list[tuple[str, str, str | None]]:
    return [(clip.path.relative_to(root).as_posix(), clip.label, clip.split) for clip in dataset.clips]


def test_paths_are_relative_to_the_table(tmp_path: Path) -> None:
    touch(tmp_path, "x/a.mp4", "x/b.mp4", "x/.DS_Store")
    table = write(tmp_path / "list.csv", "\ufeffPath, label,group\nx/a.mp4, run,p1\n\nx/b.mp4,walk,p2\nx/music-3.DS_Store,walk,p2\n")
    dataset = load_dataset(table)
    assert [(clip.path, clip.label, clip.group) for clip in dataset.clips] == [
        (tmp_path / "x/a.mp4", "run", "p1"),
        (tmp_path / "x/b.mp4", "walk", "p2"),
    ]
    assert (dataset.grouping, dataset.ignored) == ("column", (IgnoredFiles("*.DS_Store", True, 1),))


def test_a_folder_that_holds_a_clips_csv_is_read_by_it(tmp_path: Path) -> None:
    touch(tmp_path, "run/a.mp4", "run/b.mp4", "walk/c.mp4")
    write(tmp_path / "clips.csv", "path,label\nrun/a.mp4,fast\nwalk/c.mp4,slow\n")
    assert load_dataset(tmp_path).labels == ("fast", "slow")


def test_a_column_tells_the_side(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4", "b.mp4", "c.mp4")
    table = write(tmp_path / "list.csv", "path,label,split\na.mp4,run,train\nb.mp4,walk,Test\nc.mp4,walk,val\n")
    assert [clip.split for clip in load_dataset(table).clips] == ["train", "test", "train"]


def test_the_notebooks_tables_find_their_videos_in_folders_of_sides(tmp_path: Path) -> None:
    touch(tmp_path, "train/v_a_g01_c01.avi", "train/v_b_g02_c01.avi", "test/v_a_g03_c01.avi", "test/v_b_g04_c01.avi")
    write(tmp_path / "train.csv", ",video_name,tag\n0,v_a_g01_c01.avi,a\n1,v_b_g02_c01.avi,b\n")
    write(tmp_path / "test.csv", ",video_name,tag\n0,v_a_g03_c01.avi,a\n1,v_b_g04_c01.avi,b\n")
    dataset = load_dataset(tmp_path)
    assert rows(dataset, tmp_path) == [
        ("test/v_a_g03_c01.avi", "a", "test"),
        ("test/v_b_g04_c01.avi", "b", "test"),
        ("train/v_a_g01_c01.avi", "a", "train"),
        ("train/v_b_g02_c01.avi", "b", "train"),
    ]
    assert (dataset.grouping, dataset.num_groups) == ("name", 4)
    assert rows(load_dataset(tmp_path / "test.csv"), tmp_path) == rows(dataset, tmp_path)[:2]


def test_of_equal_names_the_tables_side_and_then_the_labels_folder_is_meant(tmp_path: Path) -> None:
    touch(tmp_path, *[f"videos/{side}/{label}/1.mp4" for side in ("Train", "test") for label in "ab"])
    write(tmp_path / "train.csv", "video_name,tag\n1.mp4,a\n1.mp4,b\n")
    write(tmp_path / "test.csv", "video_name,tag\n1.mp4,b\n1.mp4,a\n")
    assert rows(load_dataset(tmp_path), tmp_path) == [
        ("videos/test/b/1.mp4", "b", "test"),
        ("videos/test/a/1.mp4", "a", "test"),
        ("videos/Train/a/1.mp4", "a", "train"),
        ("videos/Train/b/1.mp4", "b", "train"),
    ]


def test_a_name_that_may_mean_several_files_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "x/1.mp4", "y/1.mp4", "2.mp4")
    with pytest.raises(DataError, match=r"holds 2 files \(x/1.mp4, y/1.mp4\) of the name 1.mp4"):
        load_dataset(write(tmp_path / "list.csv", "video_name,tag\n1.mp4,a\n2.mp4,b\n"))


@pytest.mark.parametrize("prefix", ["/content/drive/data/", "../input/data/", "C:\\Users\\me\\data\\", ""])
def test_paths_of_another_machine_are_found_by_their_end(tmp_path: Path, prefix: str) -> None:
    touch(tmp_path, "run/a.mp4", "walk/a.mp4", "a.mp4")
    separator = "\\" if "\\" in prefix else "/"
    table = write(tmp_path / "list.csv", f"path,label\n{prefix}run{separator}a.mp4,run\n{prefix}walk{separator}a.mp4,walk\n")
    assert rows(load_dataset(table), tmp_path) == [("run/a.mp4", "run", None), ("walk/a.mp4", "walk", None)]


def test_a_missing_file_is_not_replaced_by_a_namesake_elsewhere(tmp_path: Path) -> None:
    touch(tmp_path, "walk/a.mp4", "walk/b.mp4")
    with pytest.raises(DataError, match=r"names 1 file \(run/a.mp4\) that does not exist"):
        load_dataset(write(tmp_path / "list.csv", "path,label\nrun/a.mp4,run\nwalk/b.mp4,walk\n"))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("file,label\na.mp4,run\n", "no column path; it must"),
        ("file,class\na.mp4,run\n", "no column path and no column label"),
        ("path,label\na.mp4,run\nb.mp4,\n", r"lacks a path or a label in 1 row \(3\)"),
        ("path,label\na.mp4,run\nb.mp4\n", r"lacks a path or a label in 1 row \(3\)"),
        ("path,label\na.mp4,run\nb.mp4,walk\na.mp4,walk\n", r"names 1 file \(a.mp4\) more than once"),
        ("path,label\na.mp4,run\nv.mp4,x\nw.mp4,x\nx.mp4,x\ny.mp4,x\n", r"names 4 files \(v.mp4, w.mp4, x.mp4, ...\) that do not exist"),
        ("path,label\na.mp4,run\nb.mp4,run\n", "one label run"),
        ("path,label\n", "no video files"),
        ("path,label\nnotes.txt,run\n", "no video files"),
        ("path,label,split\na.mp4,run,train\nb.mp4,walk,extra\n", "row 3: extra is no side"),
        ("path,label,end_s\na.mp4,run,3\n", "a column end_s alone"),
        ("", "no column path"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_in_one_line(tmp_path: Path, text: str, complaint: str) -> None:
    touch(tmp_path, "a.mp4", "b.mp4")
    with pytest.raises(DataError, match=complaint) as caught:
        load_dataset(write(tmp_path / "list.csv", text))
    assert "\n" not in str(caught.value)


def test_a_clip_on_both_sides_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4", "b.mp4")
    write(tmp_path / "train.csv", "path,label\na.mp4,run\nb.mp4,walk\n")
    write(tmp_path / "test.csv", "path,label\na.mp4,run\n")
    with pytest.raises(DataError, match=r"names 1 file \(a.mp4\) more than once"):
        load_dataset(tmp_path)


def test_a_table_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "clips.csv").write_bytes(b"path,label\n\xdcbung.mp4,run\n")
    with pytest.raises(DataError, match="cannot be read as a CSV: it is not text in UTF-8; save it as that"):
        load_dataset(tmp_path)


WINDOWS = [
    ".\\",
    "..\\{root}\\",
    "",
    "./",
    "C:\\Users\\me\\{root}\\",
    "D:{root}\\",
    "\\\\server\\share\\",
    "\\\\?\\C:\\data\\",
    "%USERPROFILE%\\x\\",
    "C:/me/",
]


@pytest.mark.parametrize("prefix", WINDOWS)
def test_paths_that_windows_writes_are_found(tmp_path: Path, prefix: str) -> None:
    touch(tmp_path, "Run fast/a.mp4", "walk/b.mp4", "walk/c.mp4")
    before = prefix.format(root=tmp_path.name)
    table = write(tmp_path / "list.csv", f"path,label\r\n{before}Run fast\\a.mp4,run\r\n{before}walk\\b.mp4,walk\r\n.\\walk\\c.mp4,walk\r\n")
    dataset = load_dataset(table)
    assert [(clip.path.resolve().relative_to(tmp_path).as_posix(), clip.label) for clip in dataset.clips] == [
        ("Run fast/a.mp4", "run"),
        ("walk/b.mp4", "walk"),
        ("walk/c.mp4", "walk"),
    ]
    assert dataset.ignored == ()


def test_the_case_of_letters_does_not_matter_where_only_one_file_can_be_meant(tmp_path: Path) -> None:
    touch(tmp_path, "Run/A.mp4", "Walk/b.MP4", "Walk/B.mp4")
    assert rows(load_dataset(write(tmp_path / "list.csv", "path,label\nrun\\a.MP4,run\nWalk/b.MP4,walk\n")), tmp_path) == [
        ("Run/A.mp4", "run", None),
        ("Walk/b.MP4", "walk", None),
    ]
    with pytest.raises(DataError, match=r"holds 2 files \(Walk/B.mp4, Walk/b.MP4\) of the name walk/b.mp4; say which"):
        load_dataset(write(tmp_path / "list.csv", "path,label\nrun/a.mp4,run\nwalk/b.mp4,walk\n"))


@pytest.mark.parametrize(("in_table", "on_disk"), [("NFC", "NFD"), ("NFD", "NFC")])
@pytest.mark.parametrize("table", ["clips.csv", "segments.csv"])
def test_accents_may_be_written_in_either_way(tmp_path: Path, in_table: NormalForm, on_disk: NormalForm, table: str) -> None:
    touch(tmp_path, *(normalize(on_disk, name) for name in ("Übung/Café1.mp4", "Übung/b.mp4")))
    written = normalize(in_table, "Übung/Café1.mp4,1,2,Ü\nb.mp4,1,2,W\n").replace(
        "b.mp4", "b.mp4" if table == "clips.csv" else normalize(in_table, "Übung/b.mp4")
    )
    columns = "path,x,y,label" if table == "clips.csv" else "path,start_s,end_s,label"
    dataset = load_dataset(write(tmp_path / table, f"{columns}\n{written}"))
    assert {clip.path.name for clip in dataset.clips} == {normalize(on_disk, "Café1.mp4"), "b.mp4"}
    assert {"Ü", "W"} <= set(dataset.labels)  # in one way, whatever the table says


def test_a_label_is_one_however_its_folders_write_its_accents(tmp_path: Path) -> None:
    touch(tmp_path, f"train/{normalize('NFD', 'Übung')}/a.mp4", f"test/{normalize('NFC', 'Übung')}/b.mp4", "train/x/c.mp4", "test/x/d.mp4")
    assert load_dataset(tmp_path).labels == ("x", normalize("NFC", "Übung"))


COMMAS = 'path,label,group\na.mp4,"run, fast",g1\nb.mp4,walk,g2\n'


def with_separator(separator: str) -> str:
    return COMMAS.replace(",", separator).replace(f"run{separator} fast", "run, fast")


TEXTS = {
    "commas": COMMAS,
    "semicolons": with_separator(";"),
    "tabs": with_separator("\t"),
    "told": "sep=|\n" + with_separator("|"),
    "windows": COMMAS.replace("\n", "\r\n"),
    "old mac": COMMAS.replace("\n", "\r"),
}


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_tables_are_read_as_programs_export_them(tmp_path: Path, kind: str, encoding: str) -> None:
    touch(tmp_path, "a.mp4", "b.mp4")
    for name in ("list.csv", "list.tsv"):
        (tmp_path / name).write_bytes(TEXTS[kind].encode(encoding))
        assert [(clip.label, clip.group) for clip in load_dataset(tmp_path / name).clips] == [("run, fast", "g1"), ("walk", "g2")]


def test_seconds_may_have_a_comma(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4")
    for text in ("video;start_s;end_s;label\na.mp4;1,5;3,25;run\n", 'video,start_s,end_s,label\na.mp4,"1,5","3,25",run\n'):
        (clip,) = [clip for clip in load_dataset(write(tmp_path / "segments.csv", text)).clips if clip.label == "run"]
        assert (clip.start_s, clip.end_s) == (1.5, 3.25)


@pytest.mark.parametrize("label", ["nothing", "Nothing", "background"])
def test_a_label_that_means_nothing_is_the_background_whatever_the_form(tmp_path: Path, label: str) -> None:
    touch(tmp_path, "folders/run/a.mp4", f"folders/{label}/b.mp4", "table/a.mp4", "table/b.mp4")
    write(tmp_path / "table/clips.csv", f"path,label\na.mp4,run\nb.mp4,{label}\n")
    assert load_dataset(tmp_path / "folders").background == load_dataset(tmp_path / "table").background == label
    merged = merge_labels(load_dataset(tmp_path / "folders"), {label: "nothing"}) if label != "nothing" else load_dataset(tmp_path / "folders")
    assert merged.background == "nothing"
