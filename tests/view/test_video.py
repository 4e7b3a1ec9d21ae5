import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from streamvc.errors import ViewError
from streamvc.view.canvas import Image
from streamvc.view.video import VideoWriter, write_still


def scene(number: int, width: int = 160, height: int = 120) -> Image:
    """A smooth picture that is different for each number."""
    y, x = np.mgrid[0:height, 0:width]
    planes = (x * 255 // width, y * 255 // height, np.full_like(x, number * 20 % 256))
    return np.stack(planes, axis=2).astype(np.uint8)


def read(path: Path) -> tuple[list[float], list[Image]]:
    with av.open(path) as container:
        frames = list(container.decode(video=0))
    return [frame.time or 0.0 for frame in frames], [frame.to_ndarray(format="bgr24").astype(np.uint8) for frame in frames]


@pytest.mark.parametrize("suffix", [".mp4", ".MP4", ".mov", ".mkv"])
def test_each_frame_is_shown_at_its_own_time(tmp_path: Path, suffix: str) -> None:
    times = [0.0, 0.04, 0.08, 0.5, 0.533, 0.567, 2.0, 2.04]
    with VideoWriter(tmp_path / f"clip{suffix}") as writer:
        shown = [writer.show(scene(number), 100.0 + time) for number, time in enumerate(times)]

    read_times, pictures = read(tmp_path / f"clip{suffix}")
    assert shown == [True] * len(times)
    assert read_times == pytest.approx(times, abs=0.001)
    assert all(cv2.PSNR(picture, scene(number)) > 30 for number, picture in enumerate(pictures))
    assert [entry.name for entry in tmp_path.iterdir()] == [f"clip{suffix}"]


def test_time_that_stands_still_or_goes_back_loses_no_frame(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "clip.mp4") as writer:
        for number, time in enumerate([5.0, 5.04, 5.04, 5.0, 6.0]):
            writer.show(scene(number), time)

    times, _ = read(tmp_path / "clip.mp4")
    assert times == pytest.approx([0.0, 0.04, 0.04, 0.04, 1.0], abs=0.001)
    assert all(earlier < later for earlier, later in pairwise(times))


def test_frames_of_any_size_are_scaled_to_the_first_and_odd_sizes_to_even(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "clip.mp4") as writer:
        for number, (width, height) in enumerate([(161, 119), (161, 119), (320, 240), (16, 16)]):
            writer.show(scene(number, width, height), float(number))

    _, pictures = read(tmp_path / "clip.mp4")
    assert [picture.shape for picture in pictures] == [(120, 162, 3)] * 4
    assert all(cv2.PSNR(picture, scene(number, 162, 120)) > 25 for number, picture in enumerate(pictures[:3]))


def test_the_old_file_stays_until_the_new_one_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"old")
    with VideoWriter(path) as writer:
        writer.show(scene(0), 0.0)
        assert path.read_bytes() == b"old"

    assert len(read(path)[1]) == 1


def test_what_was_filmed_before_an_error_elsewhere_is_kept(tmp_path: Path) -> None:
    def film() -> None:
        with VideoWriter(tmp_path / "clip.mp4") as writer:
            writer.show(scene(0), 0.0)
            raise KeyError

    with pytest.raises(KeyError):
        film()
    assert len(read(tmp_path / "clip.mp4")[1]) == 1


def test_without_a_frame_there_is_no_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with VideoWriter(tmp_path / "clip.mp4"):
        pass

    assert list(tmp_path.iterdir()) == []
    assert "there was no frame" in caplog.text


def test_a_closed_video_takes_no_more_frames(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "clip.mp4") as writer:
        writer.show(scene(0), 0.0)
    writer.close()

    with pytest.raises(ViewError, match="already closed"):
        writer.show(scene(1), 1.0)


@pytest.mark.parametrize("name", ["clip.gif", "clip", "clip.mp4.txt"])
def test_a_kind_that_cannot_be_written_is_said(tmp_path: Path, name: str) -> None:
    with pytest.raises(ViewError, match=r"name it \.mp4, \.mov, \.mkv"):
        VideoWriter(tmp_path / name)
    with pytest.raises(ViewError, match=r"name it \.jpeg, \.jpg, \.png"):
        write_still(tmp_path / name, scene(0))


def test_a_place_that_cannot_be_written_to_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file").touch()

    for parent in ("missing", "file"):
        with pytest.raises(ViewError, match="cannot be written"):
            VideoWriter(tmp_path / parent / "clip.mp4")
        with pytest.raises(ViewError, match="cannot be written"):
            write_still(tmp_path / parent / "still.png", scene(0))
    with pytest.raises(ViewError, match="it is a folder"):
        VideoWriter(tmp_path / "folder.mp4")
    with pytest.raises(ViewError, match="it is a folder"):
        write_still(tmp_path / "folder.png", scene(0))


@pytest.mark.skipif(sys.platform == "win32", reason="limits the size of files as POSIX does")
@pytest.mark.parametrize("limit", [0, 3_000, 200_000])
def test_a_full_disk_is_said_and_leaves_nothing_half_written(tmp_path: Path, limit: int) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"old")
    script = """
import resource, signal, sys
import numpy as np
from streamvc.errors import ViewError
from streamvc.view.video import VideoWriter, write_still
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
noise = np.random.default_rng(0)
try:
    with VideoWriter(sys.argv[1] + "/clip.mp4") as writer:
        for number in range(10):
            writer.show(noise.integers(0, 255, (480, 640, 3), np.uint8), number / 25)
except ViewError as error:
    print(error)
try:
    write_still(sys.argv[1] + "/still.png", noise.integers(0, 255, (480, 640, 3), np.uint8))
except ViewError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path), str(limit)], capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout.splitlines() == [f"{tmp_path}/{name}: cannot be written: File too large" for name in ("clip.mp4", "still.png")]
    assert [entry.name for entry in tmp_path.iterdir()] == ["clip.mp4"]
    assert (tmp_path / "clip.mp4").read_bytes() == b"old"


def test_a_still_is_written(tmp_path: Path) -> None:
    for name in ("still.png", "still.jpg", "still.JPEG"):
        write_still(tmp_path / name, scene(3))

    assert cv2.PSNR(cv2.imread(str(tmp_path / "still.png")), scene(3)) > 100  # not one pixel differs
    assert all(cv2.PSNR(cv2.imread(str(tmp_path / name)), scene(3)) > 30 for name in ("still.jpg", "still.JPEG"))
    assert len(list(tmp_path.iterdir())) == 3
