"""A contact sheet: for each label, the middle pictures of a few clips."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from streamvc.training.check.probe import in_parallel, picture_at
from streamvc.training.check.survey import DatasetSurvey
from streamvc.training.dataset import Clip
from streamvc.view.canvas import WHITE, Font, Image
from streamvc.view.overlay import SOFT, TEXT, TITLE
from streamvc.view.video import write_still

NUM_CLIPS = 6  # of each label
WIDTH, HEIGHT = 192, 144  # of a picture
GAP, HEAD, FOOT = 8, 30, 20  # pixels: between pictures, for the label above a row, for the length below a picture
PAPER = (38, 34, 32)


def write_sheet(path: Path, survey: DatasetSurvey) -> None:
    """Write the contact sheet of a data set as a `.png` or `.jpg`.

    Raises:
        ViewError: It cannot be written there.
    """
    write_still(path, draw_sheet(survey))


def draw_sheet(survey: DatasetSurvey) -> Image:
    """The contact sheet, (H, W, 3) BGR: one row per label, the clips of a row from as many groups as there are."""
    chosen = {label: _choose([clip for clip in survey.lengths_s if clip.label == label]) for label in survey.dataset.labels}
    clips = [clip for row in chosen.values() for clip in row]
    pictures = dict(in_parallel(lambda clip: picture_at(clip.path, clip.start_s + survey.lengths_s[clip] / 2), clips))
    row_height = HEAD + HEIGHT + FOOT + GAP
    sheet = np.full((row_height * len(chosen) + GAP, (WIDTH + GAP) * NUM_CLIPS + GAP, 3), PAPER, np.uint8)
    for number, (label, row) in enumerate(chosen.items()):
        top, counts = GAP + number * row_height, survey.labels[label]
        _write(sheet, f"{label}   {counts.num_clips} clips, {counts.seconds:.0f} s", (GAP, top + HEAD - 10), TITLE, WHITE)
        for column, clip in enumerate(row):
            left = GAP + column * (WIDTH + GAP)
            _place(sheet[top + HEAD : top + HEAD + HEIGHT, left : left + WIDTH], pictures[clip])
            _write(sheet, f"{survey.lengths_s[clip]:.1f} s", (left, top + HEAD + HEIGHT + FOOT - 5), TEXT, SOFT)
    return sheet


def _choose(clips: Sequence[Clip]) -> list[Clip]:
    """Some clips, spread over groups."""
    ordered = sorted(clips, key=lambda clip: clip.group)
    return [ordered[index] for index in sorted({round(place) for place in np.linspace(0, len(clips) - 1, min(len(clips), NUM_CLIPS))})]


def _place(cell: Image, picture: Image | None) -> None:
    """Put a picture into the middle of a cell, as large as fits; black remains of it where there is none."""
    cell[:] = 0
    if picture is None:
        return
    scale = min(WIDTH / picture.shape[1], HEIGHT / picture.shape[0])
    width, height = (max(1, round(scale * side)) for side in (picture.shape[1], picture.shape[0]))
    left, top = (WIDTH - width) // 2, (HEIGHT - height) // 2
    cell[top : top + height, left : left + width] = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)


def _write(sheet: Image, text: str, origin: tuple[int, int], font: Font, colour: tuple[int, int, int]) -> None:
    cv2.putText(sheet, text, origin, font.face, font.size, colour, 1, cv2.LINE_AA)
