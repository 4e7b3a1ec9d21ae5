from pathlib import Path

import cv2
import numpy as np
import pytest

from streamvc.training.check import check_dataset, write_sheet
from streamvc.training.check.sheet import FOOT, GAP, HEAD, HEIGHT, NUM_CLIPS, WIDTH, draw_sheet
from streamvc.training.dataset import load_dataset
from tests.capture.videos import number_of, write_plain


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for label, group, num_frames in (
        ("run", "g01", 20),
        ("run", "g02", 40),
        ("walk", "g01", 30),
        *[("walk", "g02", 10 + number) for number in range(9)],
    ):
        (tmp_path / label).mkdir(exist_ok=True)
        write_plain(tmp_path / label / f"v_{label}_{group}_c{num_frames}.mp4", num_frames, size=(64, 48))
    return tmp_path


def cell(sheet: np.ndarray, row: int, column: int) -> np.ndarray:
    top = GAP + row * (HEAD + HEIGHT + FOOT + GAP) + HEAD
    left = GAP + column * (WIDTH + GAP)
    return sheet[top : top + HEIGHT, left : left + WIDTH]


def test_a_row_shows_the_middle_pictures_of_clips_of_a_label(data: Path) -> None:
    sheet = draw_sheet(check_dataset(load_dataset(data)).survey)
    assert [number_of(cell(sheet, 0, column)) for column in range(2)] == [10, 20]
    assert number_of(cell(sheet, 1, 0)) == 15
    paper = sheet[0, 0]
    assert (cell(sheet, 0, 2) == paper).all()  # no third clip of the first label
    assert not (cell(sheet, 1, NUM_CLIPS - 1) == paper).all()


def test_labels_and_lengths_are_written_beside_the_pictures(data: Path) -> None:
    sheet = draw_sheet(check_dataset(load_dataset(data)).survey)
    paper = sheet[0, 0]
    assert (sheet[GAP : GAP + HEAD] != paper).any()
    foot = sheet[GAP + HEAD + HEIGHT : GAP + HEAD + HEIGHT + FOOT]
    assert (foot[:, GAP : GAP + WIDTH] != paper).any()
    assert (foot[:, GAP + 3 * (WIDTH + GAP) :] == paper).all()


def test_the_sheet_is_a_picture_file(data: Path, tmp_path: Path) -> None:
    survey = check_dataset(load_dataset(data)).survey
    write_sheet(tmp_path / "sheet.png", survey)
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "sheet.png")), draw_sheet(survey))
