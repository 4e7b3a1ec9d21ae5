"""Pictures that are left undecoded while nobody wants to see them."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from streamvc.capture.opening import open_stream
from streamvc.capture.stream import Picture
from streamvc.types import Array

from .videos import textured, write_video

FPS = 25
NUM_STILL = 70
CAMERA = {"g": "50", "bf": "0", "sc_threshold": "0", "crf": "30"}


def room(number: int) -> Array:
    """A room with a little noise, in which something begins to move at frame `NUM_STILL`."""
    noise = np.random.default_rng(number).integers(-2, 3, (96, 128, 3))
    image = (textured(0).astype(int) + noise).clip(0, 255).astype(np.uint8)
    if number >= NUM_STILL:
        left = 3 * (number - NUM_STILL) % 90
        image[30:70, left : left + 30] = np.random.default_rng(number).integers(0, 256, (40, 30, 3))
    return image


def write_room(path: Path, num_frames: int, **options: str) -> Path:
    return write_video(path, [room(number) for number in range(num_frames)], fps=FPS, options=CAMERA | options)


def image_of(picture: Picture) -> Array:
    image = np.empty(picture.shape, np.uint8)
    picture.write(image)
    return image


def all_seen(path: Path) -> dict[float, Array]:
    with open_stream(path) as stream:
        return {picture.timestamp: image_of(picture) for picture in stream.pictures if picture}


def rested(path: Path, longest_s: float = 10.0) -> list[tuple[float, Array | None]]:
    """The time of each picture, and the picture where it was decoded, of a stream that rests whenever it may."""
    found: list[tuple[float, Array | None]] = []
    with open_stream(path) as stream:
        assert stream.rest
        stream.rest.longest_s = longest_s
        for picture in stream.pictures:
            assert picture
            found.append((picture.timestamp, image_of(picture) if not picture.unseen else None))
            stream.rest.wanted = True
    return found


def test_what_begins_to_move_is_seen_at_once_and_as_if_all_had_been(tmp_path: Path) -> None:
    path = write_room(tmp_path / "room.mp4", NUM_STILL + 20)
    truth, found = all_seen(path), rested(path)
    assert [timestamp for timestamp, _ in found] == list(truth)
    seen = {timestamp: image for timestamp, image in found if image is not None}
    assert all(np.array_equal(image, truth[timestamp]) for timestamp, image in seen.items())
    still = [timestamp for timestamp in seen if timestamp < NUM_STILL / FPS]
    assert still[0] == 0.0
    assert 2.0 in still  # the second keyframe
    assert len(still) < NUM_STILL / 4
    assert NUM_STILL / FPS in seen


def test_something_is_seen_after_a_while_in_any_case(tmp_path: Path) -> None:
    path = write_room(tmp_path / "room.mp4", NUM_STILL, g="250")
    seen = [timestamp for timestamp, image in rested(path, longest_s=0.5) if image is not None]
    assert max(later - earlier for earlier, later in pairwise(seen)) <= 0.6


def test_the_picture_behind_a_gap_is_seen(tmp_path: Path) -> None:
    ticks = [*range(40), *range(75, 85)]  # 1.4 s are missing
    path = write_video(tmp_path / "room.mp4", [room(number) for number in range(50)], options=CAMERA | {"g": "250"}, ticks=ticks)
    seen = {timestamp for timestamp, image in rested(path) if image is not None}
    assert 75 / FPS in seen
    assert len(seen) < 10


def test_a_picture_that_was_not_decoded_cannot_be_had(tmp_path: Path) -> None:
    with open_stream(write_room(tmp_path / "room.mp4", 20)) as stream:
        assert stream.rest
        for picture in stream.pictures:
            stream.rest.wanted = True
            if picture and picture.unseen:
                break
        else:
            pytest.fail("all were decoded")
        with pytest.raises(ValueError, match="was not decoded"):
            picture.luma()


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [("a.mp4", "libx264", {"bf": "2"}), ("a.avi", "libx264", {}), ("a.mkv", "mjpeg", {}), ("a.mkv", "ffv1", {})],
)
def test_where_pictures_are_not_in_order_or_stand_for_themselves_all_are_decoded(
    tmp_path: Path, name: str, codec: str, options: dict[str, str]
) -> None:
    chosen = CAMERA | options if codec == "libx264" else {}
    pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    path = write_video(tmp_path / name, [room(number) for number in range(30)], codec=codec, pix_fmt=pix_fmt, options=chosen)
    assert all(image is not None for _, image in rested(path)[5:])


def test_a_stream_whose_keyframes_do_not_stand_for_themselves_stops_resting(tmp_path: Path) -> None:
    path = write_room(tmp_path / "room.mkv", 200, **{"x264-params": "intra-refresh=1:keyint=30"})
    with open_stream(path) as stream:
        assert stream.rest
        seen = []
        for picture in stream.pictures:
            seen.append(bool(picture and not picture.unseen))
            stream.rest.wanted = True
    assert not all(seen[:60])
    assert all(seen[100:])
