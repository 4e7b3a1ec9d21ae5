"""GStreamer's RTSP server, as the kit runs it."""

import itertools

import pytest

from streamvc.capture.source import open_source
from streamvc.errors import SourceError
from streamvc.testing.rtsp import RtspServer


def test_cameras_are_back_at_the_same_address_after_a_kill(gstreamer: str) -> None:
    with RtspServer(gstreamer, "yard", "door", login="me:s3cret") as server:
        address = server.url("door")
        for _ in range(2):
            for camera in ("yard", "door"):
                with open_source(server.url(camera)) as source:
                    assert [frame.image.shape for frame in itertools.islice(source, 2)] == [(240, 320, 3)] * 2
            server.kill()
            with pytest.raises(SourceError, match="refused"):
                open_source(address)
            server.start()
        assert server.url("door") == address
