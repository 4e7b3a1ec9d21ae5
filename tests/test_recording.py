import logging
import os
import resource
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from urllib.parse import unquote, urlsplit

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from streamvc import app
from streamvc.capture.source import open_source
from streamvc.errors import ViewError
from streamvc.events import Decision, Detection, Event, Media, Phase
from streamvc.live import camera_configs
from streamvc.recording import NOTHING, Recorder, RecordingSettings, outdated
from streamvc.testing import recording
from streamvc.types import Frame
from tests.capture.videos import write_video

ID = "01JD0000000000000000000000"


def frame(number: int, fps: float = 25.0) -> Frame:
    """A picture whose brightness tells its time: 2 of 255 for each tenth of a second."""
    timestamp = number / fps
    return Frame(number, timestamp, np.full((48, 64, 3), int(timestamp * 20), np.uint8))


def detection(phase: Phase, timestamp: float, t_start: float = 6.0) -> Detection:
    end = timestamp if phase == "end" else None
    return Detection(phase, "run", 0.9, (("run", 0.9),), timestamp, t_start, end, "left" if end else None, Decision(0.7, 0.4, 0.5, 2.0, 0.6))


def file(link: str | None) -> Path:
    assert link is not None
    return Path(unquote(urlsplit(link).path))


def picture(link: str | None) -> NDArray[np.uint8]:
    image = cv2.imread(str(file(link)))
    assert image is not None
    return np.asarray(image, np.uint8)


def test_a_clip_shows_what_was_before_and_after_an_activity(tmp_path: Path) -> None:
    links = set()
    with Recorder("front door", RecordingSettings(tmp_path, pre_roll_s=2.0, post_roll_s=1.0)) as recorder:
        for number in range(300):
            now = frame(number)
            recorder.see(now)
            if number in (175, 200, 225):
                phase: Phase = "start" if number == 175 else "update" if number == 200 else "end"
                links.add(recorder.link(ID, detection(phase, now.timestamp), now.image))
    (media,) = links
    assert file(media.snapshot) == tmp_path / "front%20door" / f"{ID}.jpg"
    assert picture(media.snapshot).mean() == pytest.approx(140, abs=2)  # 7.0 s
    with open_source(file(media.clip), policy="every") as clip:
        shown = [(each.timestamp, float(each.image.mean())) for each in clip]
    assert shown[0][1] == pytest.approx(80, abs=4)  # from 4.0 s: 2 s before the start
    assert shown[-1][1] == pytest.approx(200, abs=4)  # to 10.0 s: 1 s after the end
    assert shown[-1][0] == pytest.approx(6.0, abs=0.15)
    assert 1 / np.diff([at for at, _ in shown]).mean() == pytest.approx(10, rel=0.25)


def test_what_goes_on_when_the_camera_is_closed_is_kept(tmp_path: Path) -> None:
    with Recorder("yard", RecordingSettings(tmp_path)) as recorder:
        for number in range(50):
            recorder.see(frame(number))
        media = recorder.link(ID, detection("start", 2.0, 1.0), frame(49).image)
        assert not file(media.clip).exists()
    assert file(media.clip).stat().st_size > 0


def test_time_that_begins_anew_ends_a_clip(tmp_path: Path) -> None:
    with Recorder("yard", RecordingSettings(tmp_path)) as recorder:
        for number in range(100, 150):
            recorder.see(frame(number))
        media = recorder.link(ID, detection("start", 6.0, 5.0), frame(149).image)
        recorder.see(frame(0))
        for number in range(1, 50):
            recorder.see(frame(number))
    with open_source(file(media.clip), policy="every") as clip:
        assert not any(each.image.mean() < 75 for each in clip)  # nothing of the time from 0


def test_stills_alone(tmp_path: Path) -> None:
    with Recorder("..", RecordingSettings(tmp_path, clips=False)) as recorder:
        recorder.see(frame(0))
        media = recorder.link(ID, detection("start", 0.0), frame(0).image)
    assert media.clip is None
    assert file(media.snapshot).parent.parent == tmp_path
    assert [path.name for path in tmp_path.iterdir()] == ["%2E%2E"]


def test_a_file_that_cannot_be_written_is_told_of_and_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR), Recorder("yard", RecordingSettings(tmp_path, clips=False)) as recorder:
        (tmp_path / "yard" / f"{ID}.jpg").mkdir()
        recorder.link(ID, detection("start", 0.0), frame(0).image)
        recorder.link(ID[:-1] + "1", detection("start", 0.0), frame(0).image)
    assert recorder.num_lost == 1
    assert "it is a folder" in caplog.text
    assert (tmp_path / "yard" / f"{ID[:-1]}1.jpg").is_file()


def wait_for(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20.0
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_there_is_no_link_to_what_was_not_written(tmp_path: Path) -> None:
    folder = tmp_path / "yard"
    first, second, third, last = (f"{ID[:-1]}{number}" for number in range(4))
    with Recorder("yard", RecordingSettings(tmp_path, pre_roll_s=0.0, post_roll_s=0.0)) as recorder:

        def link(event_id: str, phase: Phase, number: int) -> Media:
            recorder.see(frame(number))
            return recorder.link(event_id, detection(phase, number / 25, t_start=number / 25), frame(number).image)

        (folder / f"{first}.mp4").mkdir()  # the clip alone cannot be written
        link(first, "start", 0)
        wait_for(lambda: recorder.num_lost == 1 and (folder / f"{first}.jpg").exists())
        assert "it is a folder" in str(recorder.problem)  # although stills can be written
        assert link(first, "update", 10) == link(first, "end", 20) == Media((folder / f"{first}.jpg").as_uri(), None)
        folder.rename(tmp_path / "elsewhere")  # nothing can be
        assert link(second, "start", 30).clip is None  # of stills that may not be known yet
        wait_for(lambda: recorder.num_lost >= 3)
        assert link(second, "end", 40) == NOTHING
        assert link(third, "start", 50) == NOTHING
        (tmp_path / "elsewhere").rename(folder)
        link(third, "end", 60)
        link(last, "start", 70)
        wait_for((folder / f"{last}.jpg").exists)
        wait_for(lambda: ".jpg" not in str(recorder.problem))
        ended = link(last, "end", 80)
    assert file(ended.snapshot).is_file()
    assert file(ended.clip).is_file()
    assert recorder.problem is None


def test_a_clip_that_fails_when_its_activity_was_told_as_over_is_a_problem_until_one_is_written(tmp_path: Path) -> None:
    recorder = Recorder("yard", RecordingSettings(tmp_path))
    record_one(recorder)
    wait_for((tmp_path / "yard" / f"{ID}.jpg").exists)
    (tmp_path / "yard").rename(tmp_path / "elsewhere")
    recorder.close()
    assert f"{ID}.mp4" in str(recorder.problem)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    with pytest.raises(ViewError, match="cannot be made"):
        Recorder("yard", RecordingSettings(tmp_path / "taken"))


def test_the_oldest_files_go_first_and_only_ours(tmp_path: Path) -> None:
    now = time.time()
    (tmp_path / "yard").mkdir()
    for number in range(4):
        path = tmp_path / "yard" / f"{ID[:-1]}{number}.jpg"
        path.write_bytes(bytes(100))
        os.utime(path, (now - 10 * number, now - 10 * number))
    (tmp_path / "yard" / "mine.jpg").write_bytes(bytes(1000))

    def gone(keep_s: float | None, keep_bytes: int | None) -> list[str]:
        return [path.stem[-1] for path in outdated(RecordingSettings(tmp_path, keep_s=keep_s, keep_bytes=keep_bytes), now)]

    assert gone(None, None) == []
    assert gone(15, None) == ["2", "3"]
    assert gone(None, 300) == ["3"]
    assert gone(15, 100) == ["1", "2", "3"]


def test_what_a_killed_program_left_unfinished_goes_and_what_is_being_written_stays(tmp_path: Path) -> None:
    folder = tmp_path / "yard"
    folder.mkdir()
    now = time.time()
    for name, age_s in ((f".{ID}.17.partial.mp4", 7200.0), (f".{ID}.18.partial.mp4", 60.0), (".other.partial.mp4", 7200.0)):
        (folder / name).touch()
        os.utime(folder / name, (now - age_s, now - age_s))
    assert [path.name for path in outdated(RecordingSettings(tmp_path), now)] == [f".{ID}.17.partial.mp4"]


def test_a_clip_is_written_while_its_activity_goes_on(tmp_path: Path) -> None:
    with Recorder("yard", RecordingSettings(tmp_path)) as recorder:
        for number in range(300):
            now = frame(number)
            recorder.see(now)
            if number == 50:
                recorder.link(ID, detection("start", now.timestamp, 1.0), now.image)
        deadline = time.monotonic() + 30
        while not list((tmp_path / "yard").glob("*.partial.mp4")):
            assert time.monotonic() < deadline
        begun = time.monotonic()
    assert time.monotonic() - begun < 5.0
    with open_source(tmp_path / "yard" / f"{ID}.mp4", policy="every") as clip:
        assert len(list(clip)) == pytest.approx(120, abs=20)


def test_events_of_a_watch_have_the_links_and_the_files_are_there(demo_clip: Path, tmp_path: Path) -> None:
    events: list[Event] = []
    cameras = tuple(camera_configs([demo_clip], ["figure"]))
    app.run(app.Options(cameras, headless=True, recording=RecordingSettings(tmp_path, post_roll_s=1.0)), events.append)
    starts = [event for event in events if event.phase == "start"]
    assert starts
    for event in events:
        assert file(event.media.snapshot).stem == file(event.media.clip).stem == event.event_id
    for event in starts:
        assert picture(event.media.snapshot).shape[:2] == (480, 640)
        with open_source(file(event.media.clip), policy="every") as clip:
            ended = next(each for each in events if each.phase == "end" and each.event_id == event.event_id)
            assert ended.duration_s is not None
            length_s = list(clip)[-1].timestamp
        assert length_s == pytest.approx(min(event.stream_start_s, 5.0) + ended.duration_s + 1.0, abs=1.2)  # less where the video ends before


def test_what_others_removed_and_what_cannot_be_removed_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "yard" / f"{ID}.mp4"
    folder.mkdir(parents=True)  # cannot be unlinked
    os.utime(folder, (0, 0))
    (tmp_path / "yard" / f"{ID}.jpg").symlink_to(tmp_path / "gone")
    with caplog.at_level(logging.ERROR), Recorder("door", RecordingSettings(tmp_path, clips=False)) as recorder:
        links = [recorder.link(f"{ID[:-1]}{number}", detection("start", 0.0), frame(0).image) for number in range(2)]
    assert "old recordings cannot be removed" in caplog.text
    assert all(file(media.snapshot).is_file() for media in links)


def test_pictures_that_come_faster_than_they_are_compressed_are_all_kept(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8)
    with Recorder("yard", RecordingSettings(tmp_path)) as recorder:
        for number in range(100):
            recorder.see(Frame(number, number / 10, image))
        media = recorder.link(ID, detection("start", 9.9, 5.0), image)
    with open_source(file(media.clip), policy="every") as clip:
        assert len(list(clip)) == 100


def record_one(recorder: Recorder, shape: tuple[int, int] = (48, 64)) -> None:
    """An activity of four seconds."""
    for number in range(100):
        image = np.full((*shape, 3), number, np.uint8)
        recorder.see(Frame(number, number / 25, image))
        if number in (10, 90):
            recorder.link(ID, detection("start" if number == 10 else "end", number / 25, 0.4), image)


@pytest.mark.usefixtures("many_descriptors")
def test_a_program_with_many_open_files_is_recorded_as_well(tmp_path: Path) -> None:
    with Recorder("yard", RecordingSettings(tmp_path)) as recorder:
        record_one(recorder)
    assert (recorder.num_lost, sorted(path.suffix for path in tmp_path.glob("*/*"))) == (0, [".jpg", ".mp4"])


@pytest.mark.parametrize("shape", [(1, 1), (2, 16000), (16000, 2)])
def test_pictures_of_odd_sizes_are_recorded(tmp_path: Path, shape: tuple[int, int]) -> None:
    with Recorder("yard", RecordingSettings(tmp_path)) as recorder:
        record_one(recorder, shape)
    assert (recorder.num_lost, sorted(path.suffix for path in tmp_path.glob("*/*"))) == (0, [".jpg", ".mp4"])


def test_a_disk_that_is_full_is_told_and_costs_recordings_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        with Recorder("yard", RecordingSettings(tmp_path)) as recorder:
            record_one(recorder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.glob("*/*")) == []
    assert recorder.num_lost >= 1
    assert recorder.problem
    assert 1 <= sum("a recording is lost" in message for message in caplog.messages) <= 2


def test_a_recorder_that_was_let_go_fails_nobody(tmp_path: Path) -> None:
    recorder = Recorder("yard", RecordingSettings(tmp_path))
    recorder.close()
    record_one(recorder)
    assert recorder.problem == "nothing is recorded any more"


def test_a_view_that_fails_ends_nothing_but_itself(demo_clip: Path, tmp_path: Path) -> None:
    noise = [np.random.default_rng(number).integers(0, 256, (480, 640, 3), np.uint8) for number in range(20)]  # there is much to write of it
    pictures = [*noise, *(image[..., ::-1] for image in islice(recording(demo_clip), 125, 205))]
    jumping = write_video(tmp_path / "jumping.mp4", pictures, options={"preset": "ultrafast"})
    cameras = tuple(camera_configs([jumping], ["figure"]))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))  # as on a disk that is full
    events: list[Event] = []
    try:
        with pytest.raises(ViewError, match=r"annotated\.mp4"):
            app.run(app.Options(cameras, headless=True, save=tmp_path / "annotated.mp4"), events.append)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [(event.phase, event.reason) for event in events if event.phase != "update"] == [("start", None), ("end", "end_of_stream")]
    assert list(tmp_path.iterdir()) == [jumping]
