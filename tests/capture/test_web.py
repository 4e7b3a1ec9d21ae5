"""Where a camera's address may lead: an answer that names another place, and playlists, from real servers."""

import functools
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from streamvc.capture.source import open_source
from streamvc.capture.video_file import creation_time, open_recording
from streamvc.capture.web import may_lead_to
from streamvc.errors import AccessError, SourceError

from .servers import Files, serving
from .videos import write_plain

PLAYLIST = {"hls_time": "1", "hls_list_size": "0"}


class Server:
    """A web server, and what it was asked for."""

    def __init__(self, folder: Path) -> None:
        self.asked: list[str] = []
        self.logins: list[str] = []
        self.url = ""
        self._folder = folder

    @contextmanager
    def on(self) -> Iterator["Server"]:
        server = self

        class Handler(Files):
            def do_GET(self) -> None:  # noqa: N802
                server.asked.append(self.path)
                server.logins += self.headers.get_all("Authorization", [])
                if self.path.startswith("/go?"):
                    self.send_response(302)
                    self.send_header("Location", self.path[4:])
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                elif self.path.startswith("/closed/") and not self.headers["Authorization"]:
                    self.send_response(401)
                    self.send_header("WWW-Authenticate", 'Basic realm="camera"')
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                elif self.path == "/live":  # a playlist by what is said of it, not by its name
                    self.send_response(200)
                    self.send_header("Content-Type", "application/vnd.apple.mpegurl")
                    self.end_headers()
                    self.wfile.write((server._folder / "list.m3u8").read_bytes())
                else:
                    self.path = self.path.removeprefix("/closed")
                    super().do_GET()

        with serving(functools.partial(Handler, directory=str(self._folder))) as host:
            self.url = f"http://{host}"
            yield self


@pytest.fixture
def camera(tmp_path: Path) -> Iterator[Server]:
    """It has a clip, and a playlist of two segments."""
    write_plain(tmp_path / "clip.mp4", 40, container={"movflags": "faststart"})
    write_plain(tmp_path / "late.mp4", 40)  # what is where is told at its end
    write_plain(tmp_path / "list.m3u8", 50, format="hls", options={"g": "10"}, container=PLAYLIST)
    with Server(tmp_path).on() as server:
        yield server


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Server]:
    """Another service of this network, that nobody has named."""
    with Server(tmp_path).on() as server:
        yield server


def names(tmp_path: Path, place: str) -> None:
    """Let the playlist `bad.m3u8` name its first segment so."""
    text = (tmp_path / "list.m3u8").read_text()
    (tmp_path / "bad.m3u8").write_text(text.replace("list0.ts", place))


def number_of_frames(url: str) -> int:
    with open_source(url) as source:
        return len(list(source))


def refusal(url: str) -> str:
    with pytest.raises(SourceError) as caught:
        number_of_frames(url)
    assert "s3cret" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("path", ["go?/clip.mp4", "go?/late.mp4", "go?/go?/clip.mp4", "clip.mp4", "late.mp4"])
def test_an_answer_that_leads_to_the_same_place_is_followed(camera: Server, path: str) -> None:
    assert number_of_frames(f"{camera.url}/{path}") == 40


@pytest.mark.parametrize("path", ["go?/list.m3u8", "list.m3u8", "live", "go?/live"])
def test_a_playlist_that_names_its_own_segments_is_played(camera: Server, path: str) -> None:
    assert number_of_frames(f"{camera.url}/{path}") == 50


def test_an_answer_that_leads_to_another_service_of_the_network_is_not_followed(camera: Server, other: Server) -> None:
    url = f"{camera.url}/go?{other.url}/clip.mp4"
    where = urlsplit(other.url)
    expected = f"it leads to 127.0.0.1:{where.port}, another place of a private network; give that address itself, if it is right"
    assert refusal(url) == f"{url}: {expected}"
    assert other.asked == []


def test_a_playlist_that_names_another_service_of_the_network_is_not_followed(camera: Server, other: Server, tmp_path: Path) -> None:
    names(tmp_path, f"{other.url}/list0.ts")
    assert "another place of a private network" in refusal(f"{camera.url}/bad.m3u8")
    names(tmp_path, f"/go?{other.url}/list0.ts")  # nor by a segment that leads on
    assert "another place of a private network" in refusal(f"{camera.url}/bad.m3u8")
    (tmp_path / "bad.m3u8").write_text(f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{other.url}/list.m3u8\n")  # nor by a playlist of playlists
    assert "another place of a private network" in refusal(f"{camera.url}/bad.m3u8")
    assert other.asked == []


PLACES = "file:{}", "file://{}", "data:video/mp2t;base64,Rw==", "{}", "concat:{}", "subfile:,,start,0,end,0,,:{}"


@pytest.mark.parametrize("place", PLACES)
def test_a_playlist_that_names_what_is_on_this_machine_does_not_get_it(camera: Server, tmp_path: Path, place: str) -> None:
    names(tmp_path, place.format(tmp_path / "list0.ts"))
    with suppress(SourceError):
        assert number_of_frames(f"{camera.url}/bad.m3u8") <= 30  # of its other segment: what is no address is a path there
    assert "/list0.ts" not in camera.asked


@pytest.mark.parametrize("place", ["file://{}/clip.mp4", "ftp://127.0.0.1/clip.mp4", "concat:{}/clip.mp4", "data:video/mp4;base64,Rw=="])
def test_an_answer_that_leads_to_what_is_no_web_address_is_not_followed(camera: Server, tmp_path: Path, place: str) -> None:
    assert refusal(f"{camera.url}/go?{place.format(tmp_path)}")


def test_a_login_is_sent_to_its_own_place_alone(camera: Server, tmp_path: Path) -> None:
    url = camera.url.replace("//", "//me:s3cret@")
    assert number_of_frames(f"{url}/closed/list.m3u8") == 50
    assert set(camera.logins) == {"Basic bWU6czNjcmV0"}
    with pytest.raises(AccessError, match="401"):
        open_source(f"{camera.url}/closed/list.m3u8")


def test_a_segment_that_is_missing_costs_itself_alone(camera: Server, tmp_path: Path) -> None:
    names(tmp_path, "gone.ts")
    assert 20 <= number_of_frames(f"{camera.url}/bad.m3u8") < 50


def test_a_file_that_names_others_is_no_video(tmp_path: Path) -> None:
    write_plain(tmp_path / "clip.mp4", 5)
    playlist = write_plain(tmp_path / "list.m3u8", 50, format="hls", options={"g": "10"}, container=PLAYLIST)
    (tmp_path / "list.ffconcat").write_text("ffconcat version 1.0\nfile clip.mp4\n")
    (tmp_path / "list.sdp").write_text("v=0\nc=IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\na=rtpmap:96 H264/90000\n")
    for path in (playlist, tmp_path / "list.ffconcat", tmp_path / "list.sdp"):
        assert refusal(str(path)) == f"{path}: it names other files, and is no video itself; give one of these"
        with pytest.raises(SourceError, match="names other files"), open_recording(str(path)):
            pass
        with pytest.raises(SourceError, match="names other files"):
            creation_time(str(path))


@pytest.mark.parametrize(
    ("address", "is_right"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("192.168.1.5", True),  # the camera's own, at another port
        ("192.168.1.6", False),
        ("10.0.0.1", False),
        ("172.16.0.1", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("127.0.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1", False),
        ("fd00::1", False),
        ("ff02::1", False),
    ],
)
def test_a_camera_may_lead_to_public_places_and_to_itself(address: str, is_right: bool) -> None:
    assert may_lead_to(ip_address(address), [ip_address("192.168.1.5")]) == is_right


def test_this_machine_may_not_lead_to_another_port_of_itself() -> None:
    assert not may_lead_to(ip_address("127.0.0.1"), [ip_address("127.0.0.1")])
