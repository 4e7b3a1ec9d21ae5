"""JPEG pictures within bytes: each is found, whatever stands between them."""

from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamvc.capture import jpegs
from streamvc.capture.jpegs import JpegSplitter

from .test_display import jpeg as with_exif
from .videos import textured

JPEGS = [cv2.imencode(".jpg", textured(number, (48, 32)), [cv2.IMWRITE_JPEG_PROGRESSIVE, number % 2])[1].tobytes() for number in range(6)]


def split(*pieces: bytes) -> list[bytes | None]:
    splitter = JpegSplitter()
    return [picture for piece in pieces for picture in splitter.step(piece)] + list(splitter.flush())


between = st.one_of(
    st.just(b""), st.just(b"\r\n--b\r\nContent-Type: image/jpeg\r\n\r\n"), st.binary(max_size=40).filter(lambda data: b"\xff" not in data)
)


@given(st.lists(between, min_size=len(JPEGS), max_size=len(JPEGS)), st.lists(st.integers(0, 10_000), max_size=8), st.integers(0, len(JPEGS[0]) - 1))
def test_all_pictures_are_found_however_the_bytes_come(gaps: list[bytes], cuts: list[int], torn: int) -> None:
    data = JPEGS[-1][torn + 1 :] + b"".join(gap + picture for gap, picture in zip(gaps, JPEGS, strict=True))  # it begins amid a picture
    ends = [0, *sorted(cut % len(data) for cut in cuts), len(data)]
    assert split(*(data[start:end] for start, end in pairwise(ends))) == JPEGS


def test_a_picture_is_there_with_its_last_byte() -> None:
    splitter = JpegSplitter()
    assert list(splitter.step(JPEGS[0][:-1])) == []
    assert list(splitter.step(JPEGS[0][-1:])) == [JPEGS[0]]


def test_a_thumbnail_within_a_picture_is_none() -> None:
    inner = with_exif(1)
    block = b"\xff\xe1" + (len(inner) + 2).to_bytes(2) + inner
    picture = JPEGS[0][:2] + block + JPEGS[0][2:]
    assert split(picture, JPEGS[1]) == [picture, JPEGS[1]]


def test_a_picture_that_was_cut_off_is_told_as_damaged_and_costs_no_other() -> None:
    for length in (30, len(JPEGS[1]) // 2, len(JPEGS[1]) - 2):
        assert split(JPEGS[0], JPEGS[1][:length], b"\r\n--b\r\n\r\n", JPEGS[2]) == [JPEGS[0], None, JPEGS[2]]


def test_cameras_whose_pictures_never_say_where_they_end() -> None:
    pieces = [part for picture in JPEGS for part in (b"\r\n--b\r\n\r\n", picture[:-2])]
    found = split(*pieces)
    assert len(found) == len(JPEGS)
    for picture, right in zip(found, JPEGS, strict=True):
        assert picture is not None
        ours, theirs = (cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) for data in (picture, right))
        assert cv2.absdiff(ours, theirs).mean() < 1


@pytest.mark.parametrize("filling", [b"a" * 50_000, b"\xff\xe0\x40\x00" + bytes(0x4000 - 2)])
def test_a_picture_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch, filling: bytes) -> None:
    monkeypatch.setattr(jpegs, "MAX_BYTES", 200_000)
    header = JPEGS[0][: JPEGS[0].index(b"\xff\xda") + 14] if filling[:1] == b"a" else b"\xff\xd8"
    assert split(header, *[filling] * 10, JPEGS[1]).count(JPEGS[1]) == 1


@given(st.binary(max_size=400))
def test_any_bytes_do_no_harm(data: bytes) -> None:
    enough = 1 + (1 << 16) // len(JPEGS[0])  # what says that it is long may swallow so many
    assert split(data, b"\xff\xd8", data, *[JPEGS[0]] * enough, b"\r\n", JPEGS[1])[-1] == JPEGS[1]
