"""What all sources have in common: the thread, its policies, its end."""

import itertools
import signal
import threading
import time
from pathlib import Path

import pytest

from streamvc.capture.source import open_source
from streamvc.errors import SourceError

from .servers import Camera
from .videos import number_of, plain, write_plain

READ_S = 0.3


def test_every_loses_nothing_however_slow_its_reader_and_small_its_buffer(tmp_path: Path) -> None:
    path = write_plain(tmp_path / "clip.mp4", 50)
    with open_source(path, policy="every", buffer_frames=3) as source:
        assert [number_of(frame.image) for frame in source] == list(range(50))
        assert source.dropped == 0


def test_latest_on_a_recording_gives_what_is_newest_and_the_last_frame(tmp_path: Path) -> None:
    path = write_plain(tmp_path / "clip.mp4", 50)
    with open_source(path, policy="latest") as source:
        seen = [frame.index for frame in source]
        assert source.dropped + len(seen) == 50
    assert seen[-1] == 49
    assert seen == sorted(seen)


def test_a_paced_recording_plays_at_its_own_speed(tmp_path: Path) -> None:
    path = write_plain(tmp_path / "clip.mp4", 11)
    with open_source(path, pace=True) as source:
        frames = [(frame.timestamp, frame.captured, frame.decoded) for frame in source]
    start = frames[0][2]
    for timestamp, captured, decoded in frames:
        assert decoded - start >= timestamp - 0.03
        assert decoded - captured < 0.5  # as if it had just come in
    assert frames[-1][0] == pytest.approx(0.4)


def test_a_wait_for_the_next_picture_ends_at_once_when_it_is_closed(tmp_path: Path) -> None:
    path = write_plain(tmp_path / "slow.mp4", 3, ticks=[0, 1, 225])
    begun = time.monotonic()
    with open_source(path, pace=True) as source:
        assert [frame.index for frame in itertools.islice(source, 2)] == [0, 1]
    assert time.monotonic() - begun < 5.0


def test_leaving_early_leaves_no_thread(tmp_path: Path) -> None:
    with open_source(write_plain(tmp_path / "clip.mp4", 50)) as source:
        assert next(source).index == 0
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("streamvc-")]
    assert list(source) == []


def test_what_goes_wrong_is_raised_after_the_last_good_frame() -> None:
    with Camera([plain(number) for number in range(5)]).on() as host, open_source(f"http://{host}/", policy="every") as source:
        assert [frame.index for frame in itertools.islice(source, 5)] == list(range(5))
        for _ in range(2):
            with pytest.raises(SourceError, match="lost"):
                next(source)


def test_a_signal_handler_may_stop_a_reader_that_waits() -> None:
    camera = Camera([plain(number) for number in range(5)], then="fall silent")
    with camera.on() as host, open_source(f"http://{host}/", policy="every", read_timeout_s=2.0) as source:
        assert len(list(itertools.islice(source, 5))) == 5
        before = signal.signal(signal.SIGALRM, lambda *_: source.stop())
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        try:
            assert next(source, None) is None
        finally:
            signal.signal(signal.SIGALRM, before)


def test_recent_frames_are_at_hand_for_a_pre_roll(tmp_path: Path) -> None:
    with open_source(write_plain(tmp_path / "clip.mp4", 30), buffer_frames=10) as source:
        last = max(frame.index for frame in source)
        recent = source.recent(0.2)
    assert [frame.index for frame in recent] == list(range(last - 5, last + 1))
    assert [number_of(frame.image) for frame in recent] == [frame.index for frame in recent]


def test_memory_does_not_grow_with_the_length_of_the_video(tmp_path: Path) -> None:
    with open_source(write_plain(tmp_path / "clip.mp4", 50), buffer_frames=4) as source:
        assert len({frame.image.ctypes.data for frame in source}) <= 4
