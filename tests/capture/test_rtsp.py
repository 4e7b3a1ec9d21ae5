import itertools
import time
import traceback
from dataclasses import replace

import pytest

from streamvc.capture.loop import NO_IMAGE
from streamvc.capture.source import open_source
from streamvc.errors import SourceError
from streamvc.testing.rtsp import RtspServer

from .rtsp import RtspCamera
from .videos import number_of

READ_S = 0.5
TICKS = [3600 * number for number in range(40)]  # 25 pictures/s


def test_pictures_and_times_come_through() -> None:
    with RtspCamera(TICKS, then="fall silent").on() as host, open_source(f"rtsp://{host}/cam", policy="every", read_timeout_s=READ_S) as source:
        taken = [(number_of(frame.image), replace(frame, image=NO_IMAGE)) for frame in itertools.islice(source, 40)]
        assert (source.is_live, source.size, source.dropped) == (True, (64, 48), 0)
        assert source.fps == pytest.approx(25.0, abs=0.5)
    frames = [(frame.index, shown, frame.clock, round(frame.timestamp, 3)) for shown, frame in taken]
    assert frames == [(number, number, "pts", round(number / 25, 3)) for number in range(40)]
    assert all(frame.began is not None and frame.began + frame.timestamp <= frame.captured + 1e-6 for _, frame in taken)


def test_a_jump_of_the_cameras_clock_is_a_new_segment_and_time_goes_on() -> None:
    ticks = [*TICKS[:20], *(90_000 * 60 + tick for tick in TICKS[20:])]
    with RtspCamera(ticks, then="fall silent").on() as host, open_source(f"rtsp://{host}/cam", policy="every", read_timeout_s=READ_S) as source:
        moments = [(frame.segment, frame.timestamp) for frame in itertools.islice(source, 40)]
    assert [segment for segment, _ in moments] == [0] * 20 + [1] * 20
    assert moments[20][1] - moments[19][1] == pytest.approx(0.04, abs=0.03)
    assert moments[39][1] - moments[20][1] == pytest.approx(19 / 25)


def test_a_digest_login_is_given_and_a_wrong_one_refused() -> None:
    with RtspCamera(TICKS, then="fall silent", login="admin:s3cret").on() as host:
        with open_source(f"rtsp://admin:s3cret@{host}/cam", policy="every", read_timeout_s=READ_S) as source:
            assert next(source).index == 0
            assert source.name == f"rtsp://***@{host}/cam"
        for wrong in ("admin:s3cret-not@", ""):
            with pytest.raises(SourceError, match=r"\(401\)") as caught:
                open_source(f"rtsp://{wrong}{host}/cam")
            assert "s3cret" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("then", ["hang up", "fall silent"])
def test_a_camera_that_is_gone_is_lost_after_its_last_picture(then: str) -> None:
    seen: list[int] = []
    with (
        RtspCamera(TICKS, then=then).on() as host,
        open_source(f"rtsp://{host}/cam", policy="every", read_timeout_s=READ_S) as source,
        pytest.raises(SourceError, match=f"^rtsp://{host}/cam: lost, "),
    ):
        seen.extend(frame.index for frame in source)
    assert seen == list(range(40))


def test_a_recording_that_a_server_plays_ends_in_peace() -> None:
    with RtspCamera(TICKS, length_s=1.6).on() as host, open_source(f"rtsp://{host}/cam", policy="every") as source:
        assert [frame.index for frame in source] == list(range(40))


def test_gstreamers_server_with_a_login_until_it_dies(gstreamer: str) -> None:
    with RtspServer(gstreamer, "cam", login="admin:s3cret") as server:
        with pytest.raises(SourceError, match=r"\(401\)"):
            open_source(server.url("cam").replace("admin:s3cret@", ""))
        with open_source(server.url("cam"), read_timeout_s=2.0) as source:
            frames = [(frame.index, frame.timestamp, frame.clock) for frame in itertools.islice(source, 60)]
            assert (source.size, source.is_live) == ((320, 240), True)
            assert source.fps == pytest.approx(25.0, abs=1.0)
            server.kill()
            killed = time.monotonic()
            with pytest.raises(SourceError, match="lost"):
                list(source)
            assert time.monotonic() - killed < 2.0 + 1.0
    assert [timestamp for _, timestamp, _ in frames] == pytest.approx([index / 25 for index, *_ in frames], abs=0.02)


def test_gstreamers_server_over_udp(gstreamer: str) -> None:
    with RtspServer(gstreamer, "cam") as server, open_source(f"{server.url('cam')}?udp", read_timeout_s=2.0) as source:
        assert len(list(itertools.islice(source, 20))) == 20
