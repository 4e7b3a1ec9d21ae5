"""Each thing that may be wrong with a data set, on real files."""

import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from streamvc.training.check import DatasetCheck, check_dataset
from streamvc.training.check.problems import DatasetProblem
from streamvc.training.dataset import load_dataset
from tests.capture.videos import textured, write_plain, write_sound, write_video

GOOD = [f"{label}/v_{label}_g{group:02}_c01.mp4" for label in ("run", "walk") for group in range(3)]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two labels, a clip of each of three groups, 1 s each."""
    root = tmp_path_factory.mktemp("good")
    for number, name in enumerate(GOOD):
        (root / name).parent.mkdir(exist_ok=True)
        write_plain(root / name, 25, size=(64 + 2 * number, 48))  # sizes differ so that bytes do
    return root


@pytest.fixture
def data(good: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(good, tmp_path / "data"))


def look(data: Path) -> DatasetCheck:
    return check_dataset(load_dataset(data))


def only(found: DatasetCheck) -> DatasetProblem:
    (problem,) = found.problems
    assert "\n" not in problem.text
    return problem


def test_a_good_data_set_has_no_problems(good: Path) -> None:
    found = look(good)
    assert found.problems == ()
    assert found.is_usable
    counts = found.survey.labels["run"]
    assert (counts.num_clips, counts.num_groups, counts.seconds) == (3, 3, pytest.approx(3.0))
    assert (found.survey.num_groups, found.survey.rates, found.survey.codecs) == (3, {"25": 6}, {"h264": 6})
    assert found.survey.lengths is not None
    assert found.survey.lengths.median == pytest.approx(1.0)
    assert found.survey.sizes == {f"{64 + 2 * number}x48": 1 for number in range(6)}


def empty(path: Path) -> None:
    path.write_bytes(b"")


def text(path: Path) -> None:
    path.write_text("no video\n" * 50)


def no_pictures(path: Path) -> None:
    whole = path.read_bytes()
    start = whole.index(b"mdat") + 4
    path.write_bytes(whole[:start] + bytes(len(whole) - start))


@pytest.mark.parametrize(("spoil", "reason"), [(empty, "empty"), (text, "cannot be read as a video"), (write_sound, "only sound"), (no_pictures, "")])
def test_what_cannot_be_read_is_named_with_the_reason(data: Path, spoil: Callable[[Path], object], reason: str) -> None:
    bad = data / GOOD[0]
    spoil(bad)
    found = look(data)
    problem = only(found)
    assert (problem.kind, problem.is_fatal, found.is_usable) == ("unreadable", False, True)
    assert problem.items[0].startswith(f"{bad}: ")
    assert reason in problem.items[0]
    assert found.survey.labels["run"].num_clips == 2


def test_a_label_without_a_readable_clip_is_fatal(data: Path) -> None:
    for name in GOOD[:3]:
        (data / name).write_bytes(b"")
    found = look(data)
    assert not found.is_usable
    assert [(problem.kind, problem.items) for problem in found.problems if problem.is_fatal] == [("no clips", ("run",))]


def test_clips_of_one_group_alone_are_fatal(data: Path) -> None:
    for label in ("run", "walk"):
        for group in (1, 2):
            (data / f"{label}/v_{label}_g{group:02}_c01.mp4").unlink()
    found = look(data)
    assert [(problem.kind, problem.is_fatal) for problem in found.problems] == [("one group", True)]


def test_a_label_of_one_group_is_told(data: Path) -> None:
    for group in (1, 2):
        (data / f"walk/v_walk_g{group:02}_c01.mp4").unlink()
    problem = only(look(data))
    assert (problem.kind, problem.items, problem.is_fatal) == ("one group", ("walk",), False)


def test_the_same_video_twice_is_told_with_what_is_said_of_it(data: Path) -> None:
    shutil.copy(data / GOOD[0], data / "run/v_run_g00_c02.mp4")
    problem = only(look(data))
    assert (problem.kind, problem.items) == ("duplicate", (GOOD[0], "run/v_run_g00_c02.mp4"))
    assert "under" not in problem.text
    (data / "run/v_run_g00_c02.mp4").rename(data / "walk/v_walk_g07_c01.mp4")
    text = only(look(data)).text
    assert "under the labels run and walk" in text
    assert "under the groups g00 and g07" in text


def test_a_clip_that_is_much_shorter_is_told(data: Path) -> None:
    write_plain(data / "run/v_run_g00_c02.mp4", 3)
    problem = only(look(data))
    assert (problem.kind, problem.items) == ("short", ("run/v_run_g00_c02.mp4 (0.1 s)",))


def test_a_video_that_breaks_off_is_told(data: Path) -> None:
    path = write_video(data / "run/v_run_g01_c02.mkv", map(textured, range(50)), fps=10, options={"bf": "0"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    problem = only(look(data))
    assert problem.kind == "cut short"
    assert "of 5.0 s" in problem.items[0]


def test_damaged_pictures_are_told(data: Path) -> None:
    path = write_plain(data / "run/v_run_g01_c02.mkv", 25, codec="mjpeg", pix_fmt="yuvj420p")
    whole = bytearray(path.read_bytes())
    middle = len(whole) // 2
    whole[middle : middle + 400] = bytes(400)
    path.write_bytes(whole)
    problem = only(look(data))
    assert problem.kind == "damaged"
    assert problem.items[0].startswith("run/v_run_g01_c02.mkv (")


def test_unequal_labels_are_told(data: Path) -> None:
    for number in range(12):
        write_plain(data / f"run/v_run_g05_c{number:02}.mp4", 25, size=(48, 48 + 2 * number))
    problem = only(look(data))
    assert problem.kind == "unequal"
    assert problem.text.startswith("15 clips of run, but 3 of walk")


def test_a_split_that_parts_a_group_is_told(data: Path) -> None:
    sides = ("train", "train", "test", "test", "train", "test")
    rows = "".join(f"{name},{name.split('/')[0]},{side}\n" for name, side in zip(GOOD, sides, strict=True))
    (data / "clips.csv").write_text("path,label,split\n" + rows)
    found = look(data)
    problem = only(found)
    assert (problem.kind, problem.items) == ("leak", ("g00",))
    assert [(counts.num_train, counts.num_test) for counts in found.survey.labels.values()] == [(2, 1), (1, 2)]


def test_clips_without_groups_are_told(data: Path) -> None:
    for number, name in enumerate(GOOD):
        (data / name).rename(data / name.split("/")[0] / f"{number}.mp4")
    assert only(look(data)).kind == "no groups"


def test_segments_are_held_against_the_length_of_their_video(good: Path, tmp_path: Path) -> None:
    for name in GOOD[:2]:
        write_plain(tmp_path / Path(name).name, 40, fps=10, size=(48, 48 if name == GOOD[0] else 52))
    rows = "v_run_g00_c01.mp4,1,2.5,run\nv_run_g00_c01.mp4,2.5,5.5,walk\nv_run_g01_c01.mp4,0,2,run\nv_run_g01_c01.mp4,2,4.5,walk\n"
    (tmp_path / "segments.csv").write_text("video,start_s,end_s,label\n" + rows)
    found = look(tmp_path)
    beyond = [problem for problem in found.problems if problem.kind == "beyond the end"]
    assert [problem.items for problem in beyond] == [("v_run_g00_c01.mp4 2.5-5.5 s walk (the video ends at 4.0 s)",)]
    # The time before the first segment is a clip of nothing; what is left behind the last one is none, in neither video.
    assert found.survey.labels["nothing"].num_clips == 1
    assert found.survey.labels["walk"].seconds == pytest.approx(1.5 + 2.0)


def test_files_that_take_others_down_are_survived(shared_data: Path, data: Path) -> None:
    shutil.copy(shared_data / "broken" / "aborts_opencv.avi", data / "run" / "v_run_g01_c08.avi")
    shutil.copy(shared_data / "broken" / "corrupted.mp4", data / "run" / "v_run_g01_c09.mp4")
    found = look(data)
    assert found.survey.labels["run"].num_clips == 5
    assert [problem.items for problem in found.problems if problem.kind == "damaged"] == [("run/v_run_g01_c09.mp4 (2 pictures)",)]


def test_labels_that_mean_the_same_are_told(good: Path, tmp_path: Path) -> None:
    labels = sorted(path.name for path in good.iterdir() if path.is_dir())
    data = Path(shutil.copytree(good, tmp_path / "data"))
    (data / labels[0]).rename(data / "Nothing")
    (data / labels[1]).rename(data / "background")
    assert [problem.items for problem in look(data).problems if problem.kind == "alike"] == [("Nothing", "background")]


def test_a_video_with_less_than_a_picture_a_second_is_told(data: Path) -> None:
    write_video(data / "run/v_run_g00_c02.mp4", [textured(number) for number in range(2)], fps=Fraction(4, 5))
    assert [problem.items for problem in look(data).problems if problem.kind == "too few pictures"] == [("run/v_run_g00_c02.mp4 (0.8 a second)",)]
