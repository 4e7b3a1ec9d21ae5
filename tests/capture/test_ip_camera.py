"""Cameras whose pictures come over HTTP or TCP one behind the other, and those whose still image is asked for again and again."""

import hashlib
import itertools
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import cv2
import pytest

from streamvc.capture.buffer import FrameBuffer
from streamvc.capture.login import digest_login
from streamvc.capture.loop import capture
from streamvc.capture.messages import CaptureSettings, Due
from streamvc.capture.source import BufferReceiver, open_source
from streamvc.errors import AccessError, SourceError
from streamvc.live import watch
from streamvc.testing import Play, ScriptedCamera
from streamvc.threads import ChannelClosed, Worker
from streamvc.types import Array
from tests.capture.test_display import jpeg as with_exif
from tests.sinks.certificates import make_certificate

from .servers import serving
from .videos import number_of, plain, write_plain

JPEGS = [cv2.imencode(".jpg", plain(number))[1].tobytes() for number in range(50)]


class Server:
    """Answers each request by what `answer` does with it; counts them."""

    def __init__(self, answer: Callable[[BaseHTTPRequestHandler, int], object]) -> None:
        self.num_requests = 0
        self.paths: list[str] = []
        self._answer = answer

    @contextmanager
    def on(self) -> Iterator[str]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.num_requests += 1
                server.paths.append(self.path)
                with suppress(OSError):  # the reader has left
                    server._answer(self, server.num_requests)

            def log_message(self, *_: object) -> None:
                pass

        with serving(Handler) as host:
            yield f"http://{host}"


def send(request: BaseHTTPRequestHandler, body: bytes, kind: str = "image/jpeg", status: int = 200, **headers: str) -> None:
    request.send_response(status)
    for key, value in {"Content_Type": kind, "Content_Length": str(len(body)), **headers}.items():
        request.send_header(key.replace("_", "-"), value)
    request.end_headers()
    request.wfile.write(body)


def numbers(url: str, num: int, **how: float) -> list[int]:
    with open_source(url, policy="every", **how) as source:  # type: ignore[arg-type]
        return [number_of(frame.image) for frame in itertools.islice(source, num)]


PARTS: dict[str, tuple[str | None, bytes]] = {  # type of the answer, and what is before a picture
    "as it should be": ("multipart/x-mixed-replace; boundary=b", b"--b\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"),
    "a boundary in quotes": ('multipart/x-mixed-replace; boundary="b"', b"--b\r\nContent-Type: image/jpeg\r\n\r\n"),
    "a boundary with its dashes": ("multipart/x-mixed-replace;boundary=--b", b"--b\r\nContent-Type: image/jpeg\r\n\r\n"),
    "another boundary than told": ("multipart/x-mixed-replace; boundary=b", b"--other\r\nContent-Type: image/jpeg\r\n\r\n"),
    "no boundary told": ("multipart/x-mixed-replace", b"--b\r\nContent-Type: image/jpeg\r\n\r\n"),
    "no boundary": ("multipart/x-mixed-replace; boundary=b", b""),
    "no dashes": ("multipart/x-mixed-replace; boundary=b", b"b\r\nContent-Type: image/jpeg\r\n\r\n"),
    "line feeds": ("multipart/x-mixed-replace; boundary=b", b"--b\nContent-Type: image/jpeg\n\n"),
    "no type": ("multipart/x-mixed-replace; boundary=b", b"--b\r\nContent-Length: %d\r\n\r\n"),
    "no headers": ("multipart/x-mixed-replace; boundary=b", b"--b\r\n\r\n"),
    "a wrong type": ("multipart/mixed; boundary=b", b"--b\r\nContent-Type: image/jpg\r\n\r\n"),
    "a wrong length": ("multipart/x-mixed-replace; boundary=b", b"--b\r\nContent-Type: image/jpeg\r\nContent-Length: 9999\r\n\r\n"),
    "more headers, lines and letters": ("Multipart/X-Mixed-Replace; Boundary=b", b"\r\n\r\n--b\r\nX-Time: 12:30\r\ncontent-type:IMAGE/JPEG\r\n\r\n"),
    "pictures alone": ("video/x-motion-jpeg", b""),
    "pictures that claim to be one": ("image/jpeg", b""),
    "of no known type": ("application/octet-stream", b"--b\r\nContent-Type: image/jpeg\r\n\r\n"),
    "without a type": (None, b""),
}


@pytest.mark.parametrize("begins", ["with a picture", "amid one"])
@pytest.mark.parametrize("kind", PARTS)
def test_a_camera_that_sends_pictures_in_its_own_way(kind: str, begins: str) -> None:
    told, before = PARTS[kind]

    def answer(request: BaseHTTPRequestHandler, _: int) -> None:
        request.send_response(200)
        if told:
            request.send_header("Content-Type", told)
        request.end_headers()
        if begins == "amid one":
            request.wfile.write(noisy(0)[1000:])
        for picture in JPEGS[:12]:
            request.wfile.write((before % len(picture) if b"%" in before else before) + picture + b"\r\n" * bool(before))

    server = Server(answer)
    with server.on() as url:
        assert numbers(url, 12) == list(range(12))
    assert server.num_requests == 1


def noisy(number: int, size: tuple[int, int] = (640, 480)) -> bytes:
    noise = cv2.randn(plain(number, size), (20 + 4 * number,) * 3, (20, 20, 20))
    return bytes(cv2.imencode(".jpg", noise)[1])


def test_a_picture_that_was_cut_off_is_counted_and_not_shown() -> None:
    def answer(request: BaseHTTPRequestHandler, _: int) -> None:
        send_parts(request, [JPEGS[0], JPEGS[1][: len(JPEGS[1]) // 2], JPEGS[2], JPEGS[3]])

    with Server(answer).on() as url, open_source(url, policy="every") as source:
        assert [number_of(frame.image) for frame in itertools.islice(source, 3)] == [0, 2, 3]
        assert source.corrupt == 1


def send_parts(request: BaseHTTPRequestHandler, pictures: list[bytes]) -> None:
    request.send_response(200)
    request.send_header("Content-Type", "multipart/x-mixed-replace; boundary=b")
    request.end_headers()
    for picture in pictures:
        request.wfile.write(b"--b\r\nContent-Type: image/jpeg\r\n\r\n" + picture + b"\r\n")


def test_chunks_may_part_pictures_anywhere() -> None:
    def answer(request: BaseHTTPRequestHandler, _: int) -> None:
        request.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace\r\nTransfer-Encoding: chunked\r\n\r\n")
        data = b"".join(b"--b\r\n\r\n" + picture for picture in JPEGS[:5])
        for start in range(0, len(data), 333):
            piece = data[start : start + 333]
            request.wfile.write(b"%x;name=value\r\n%b\r\n" % (len(piece), piece))
        request.wfile.write(b"0\r\n\r\n")

    with Server(answer).on() as url:
        assert numbers(url, 5) == list(range(5))


@pytest.mark.parametrize("amid", [False, True])
@pytest.mark.parametrize("size", [(64, 48), (640, 480)])
def test_pictures_over_tcp(amid: bool, size: tuple[int, int]) -> None:
    pictures = [noisy(number, size) for number in range(5)]
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall((pictures[0][len(pictures[0]) // 2 :] if amid else b"") + b"".join(pictures))

        with Worker("camera", serve, lambda: None):
            found = numbers(f"tcp://127.0.0.1:{server.getsockname()[1]}", 5)
    assert found == pytest.approx(range(5), abs=1)


@pytest.mark.parametrize("scheme", ["tcp", "http"])
def test_an_endless_video_is_read_over_the_one_connection(scheme: str) -> None:
    with ScriptedCamera([Play(3)], scheme=scheme, fps=50) as camera, open_source(camera.url) as source:  # type: ignore[arg-type]
        assert next(source).clock == "pts"
        assert camera.num_connections == 1


@pytest.mark.parametrize("path", ["/snap.jpg", "/cgi-bin/snapshot.cgi?channel=1", "/video.mjpg", "/"])
@pytest.mark.parametrize(
    "kind", ["image/jpeg", "image/jpg", "IMAGE/JPEG; charset=x", "application/octet-stream", "text/plain", "image/png", "image/bmp"]
)
def test_a_still_image_is_asked_for_again_and_again_whatever_it_is_called(path: str, kind: str) -> None:
    def answer(request: BaseHTTPRequestHandler, number: int) -> None:
        suffix = ".png" if kind == "image/png" else ".jpg"
        send(request, cv2.imencode(suffix, plain(number % 50))[1].tobytes(), kind)

    server = Server(answer)
    with server.on() as url, open_source(url + path, policy="every", fps=100) as source:
        frames = [(frame.index, number_of(frame.image), frame.clock, frame.timestamp) for frame in itertools.islice(source, 4)]
        assert source.is_live
    assert [frame[:3] for frame in frames] == [(number, number + 1, "arrival") for number in range(4)]
    assert all(later[3] > earlier[3] for earlier, later in itertools.pairwise(frames))
    assert set(server.paths) == {path}


def test_an_image_without_a_length_ends_with_its_connection() -> None:
    def answer(request: BaseHTTPRequestHandler, number: int) -> None:
        request.send_response(200)
        request.send_header("Content-Type", "image/jpeg")
        request.end_headers()
        request.wfile.write(JPEGS[number])

    with Server(answer).on() as url:
        assert numbers(url, 3, fps=100) == [1, 2, 3]


def test_the_content_decides_and_not_the_name(tmp_path: Path) -> None:
    def answer(request: BaseHTTPRequestHandler, _: int) -> None:
        if request.path == "/snap.jpg":
            send_parts(request, JPEGS[:5])
        else:
            send(request, clips[request.path].read_bytes(), "application/octet-stream")

    clips = {
        "/a.jpg": write_plain(tmp_path / "clip.mp4", 5, container={"movflags": "faststart"}),
        "/b.jpg": write_plain(tmp_path / "clip.avi", 5, codec="mjpeg", pix_fmt="yuvj420p"),
        "/c.jpg": write_plain(tmp_path / "clip.mkv", 5, codec="mjpeg", pix_fmt="yuvj420p"),
    }
    server = Server(answer)
    with server.on() as url:
        assert numbers(f"{url}/snap.jpg", 5) == list(range(5))
        assert server.num_requests == 1
        for path in clips:
            with open_source(url + path) as source:
                assert [(number_of(frame.image), round(frame.timestamp, 3)) for frame in source] == [(number, number / 25) for number in range(5)]


def test_it_is_asked_for_at_the_rate_that_is_wanted() -> None:
    moments = []

    def answer(request: BaseHTTPRequestHandler, number: int) -> None:
        moments.append(time.monotonic())
        send(request, JPEGS[number])

    with Server(answer).on() as url:
        numbers(url, 5, fps=20)
    assert moments[-1] - moments[0] > 0.19


@pytest.mark.parametrize("honest", [True, False])
def test_the_same_image_again_is_no_new_picture(honest: bool) -> None:
    """Each image is there for three questions; who knows ETags is told so, and who lies about them is found out."""
    asked = []

    def answer(request: BaseHTTPRequestHandler, number: int) -> None:
        picture = (number - 1) // 3
        tag = f'"{picture if honest else 0}"'
        asked.append(request.headers["If-None-Match"])
        if honest and asked[-1] == tag:
            request.send_response(304)
            request.send_header("ETag", tag)
            request.end_headers()
        else:
            send(request, JPEGS[picture], ETag=tag)

    with Server(answer).on() as url:
        assert numbers(url, 4, fps=100) == [0, 1, 2, 3]
    assert asked[1] == '"0"'
    assert asked[-1] is None or honest


def test_a_camera_that_always_says_that_nothing_is_new_is_not_believed_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamvc.capture.ip_camera.TRUST_S", 0.1)

    def answer(request: BaseHTTPRequestHandler, number: int) -> None:
        if request.headers["If-None-Match"]:
            request.send_response(304)
            request.end_headers()
        else:
            send(request, JPEGS[number % 50], ETag='"always"')

    with Server(answer).on() as url:
        assert len(numbers(url, 4, fps=50)) == 4


def test_failures_now_and_then_cost_nothing_but_these() -> None:
    def answer(request: BaseHTTPRequestHandler, number: int) -> None:
        match number % 5:
            case 1:
                send(request, noisy(number % 50))
            case 2:
                send(request, b"busy", "text/plain", 503)
            case 3:
                send(request, noisy(number % 50)[:20_000])
            case 4:
                request.connection.shutdown(socket.SHUT_RDWR)
            case 0:
                send(request, b"<html>login</html>", "text/html")

    with Server(answer).on() as url:
        assert numbers(url, 3, fps=100) == pytest.approx([1, 6, 11], abs=1)


@pytest.mark.parametrize(
    ("then", "why"),
    [
        (lambda request: send(request, b"", status=503), "lost, the server failed (5xx)"),
        (lambda request: send(request, b"", status=404), "lost, there is no such stream (404)"),
        (lambda request: send(request, b"<html>", "text/html"), "lost, it cannot be read as an image"),
        (lambda request: request.connection.shutdown(socket.SHUT_RDWR), "lost, "),
        (lambda request: time.sleep(0.6), "lost, no answer within 0.3 s"),
    ],
)
def test_a_camera_whose_answers_all_fail_is_lost(then: Callable[[BaseHTTPRequestHandler], object], why: str) -> None:
    def answer(request: BaseHTTPRequestHandler, number: int) -> None:
        if number < 3:
            send(request, JPEGS[number])
        else:
            then(request)

    with (
        Server(answer).on() as url,
        open_source(url.replace("//", "//me:s3cret@"), fps=50, policy="every", read_timeout_s=0.3) as source,
        pytest.raises(SourceError) as caught,
    ):
        list(source)
    assert why in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_login_that_is_refused_while_it_is_asked_is_told_as_that() -> None:
    def answer(request: BaseHTTPRequestHandler, number: int) -> None:
        send(request, JPEGS[1], status=200 if number < 3 else 403)

    with Server(answer).on() as url, open_source(url, fps=50) as source, pytest.raises(AccessError, match="403"):
        list(source)


def test_an_image_that_never_ends_and_one_that_trickles_are_given_up() -> None:
    off = threading.Event()

    def answer(request: BaseHTTPRequestHandler, _: int) -> None:
        send(request, JPEGS[1][:300], Content_Length="100000")
        while not off.wait(0.05):
            request.wfile.write(b"\xff")

    begun = time.monotonic()
    with Server(answer).on() as url:
        with pytest.raises(SourceError, match=r"no answer within 0.4 s"):
            open_source(url, open_timeout_s=0.4)
        off.set()
    assert time.monotonic() - begun < 3


def test_headers_that_trickle_are_given_up() -> None:
    off = threading.Event()

    def answer(request: BaseHTTPRequestHandler, number: int) -> None:
        request.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while not off.wait(0.05):
            request.wfile.write(b"X-More: yes\r\n")

    with Server(answer).on() as url:
        with pytest.raises(SourceError, match=r"no answer within 0.4 s"):
            open_source(url, open_timeout_s=0.4)
        off.set()


class Login:
    """A camera that wants its login by the digest of it, with a nonce that is good for three requests."""

    def __init__(self, algorithm: str | None, *, says_stale: bool) -> None:
        self.num_refused = 0
        self._algorithm = algorithm
        self._says_stale = says_stale
        self._nonces = [f"n{number}" for number in range(99)]
        self._uses = 0

    def __call__(self, request: BaseHTTPRequestHandler, number: int) -> None:
        told = request.headers["Authorization"] or ""
        if self._uses < 3 and told and self._is_right(request, told):
            self._uses += 1
            send(request, JPEGS[number % 50])
            return
        self.num_refused += 1
        self._nonces.pop(0)
        self._uses = 0
        words = [
            f'realm="a, b", nonce="{self._nonces[0]}", qop="auth-int,auth", opaque="xyz"',
            *([f"algorithm={self._algorithm}"] if self._algorithm else []),
        ]
        challenge = "Digest " + ", ".join([*words, *(["stale=true"] if told and self._says_stale else [])])
        send(request, b"", status=401, WWW_Authenticate=f'Basic realm="x", {challenge}, Digest realm="another", nonce="x", algorithm=SHA-512')

    def _is_right(self, request: BaseHTTPRequestHandler, told: str) -> bool:
        said = {key: quoted or word for key, quoted, word in re.findall(r'(\w+)=(?:"([^"]*)"|([^\s,]+))', told)}
        function = hashlib.sha256 if self._algorithm == "SHA-256" else hashlib.md5
        secret, asked = (function(text.encode()).hexdigest() for text in ("me:a, b:s3 cr/t", f"GET:{request.path}"))
        right = function(f"{secret}:{self._nonces[0]}:{said['nc']}:{said['cnonce']}:auth:{asked}".encode()).hexdigest()
        return (said["response"], said["uri"], int(said["nc"], 16)) == (right, request.path, self._uses + 1)


@pytest.mark.parametrize("algorithm", [None, "MD5", "SHA-256"])
@pytest.mark.parametrize("says_stale", [True, False])
def test_a_login_by_digest(algorithm: str | None, says_stale: bool) -> None:
    login = Login(algorithm, says_stale=says_stale)
    with Server(login).on() as url:
        found = numbers(url.replace("//", "//me:s3%20cr%2Ft@") + "/snap?a=b c", 8, fps=100)
        assert len(found) == 8
        assert login.num_refused == 3  # not each time
        with pytest.raises(AccessError, match=r"\(401\)"):
            open_source(url.replace("//", "//me:wrong@") + "/snap")
        with pytest.raises(AccessError, match=r"\(401\)"):
            open_source(url + "/snap")


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [("MD5", "8ca523f5e9506fed4657c9700eebdbec"), ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1")],
)
def test_the_digest_is_that_of_the_standard(algorithm: str, response: str) -> None:
    """The examples of RFC 7616, 3.9.1."""
    challenge = {
        "realm": "http-auth@example.org",
        "nonce": "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
        "qop": "auth, auth-int",
        "algorithm": algorithm,
        "opaque": "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS",
    }
    nonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
    assert f'response="{response}"' in digest_login("Mufasa", "Circle of Life", "/dir/index.html", challenge, 1, nonce)


def test_a_redirect_within_the_camera_is_followed() -> None:
    def answer(request: BaseHTTPRequestHandler, number: int) -> None:
        if request.path in ("/near", "/round"):
            send(request, b"", status=302, Location="/snap" if request.path == "/near" else "/round")
        else:
            send(request, JPEGS[number % 50])

    with Server(answer).on() as url:
        assert len(numbers(f"{url}/near", 2, fps=100)) == 2
        with pytest.raises(SourceError, match="without end"):
            open_source(f"{url}/round")


@pytest.mark.parametrize("kind", ["still", "pictures"])
@pytest.mark.parametrize("challenge", [None, 'Basic realm="x"', 'Digest realm="x", nonce="n", qop="auth"'])
def test_a_camera_that_leads_to_another_of_the_network_is_refused_and_tells_it_no_login(kind: str, challenge: str | None) -> None:
    logins = []

    def lead(request: BaseHTTPRequestHandler, number: int) -> None:
        if challenge and not request.headers["Authorization"]:
            send(request, b"", status=401, WWW_Authenticate=challenge)
        elif number < 4 and kind == "still":  # it leads there only once it is trusted
            send(request, JPEGS[number])
        else:
            send(request, b"", status=302, Location=f"{elsewhere}/{kind}")

    def take(request: BaseHTTPRequestHandler, number: int) -> None:
        logins.append(request.headers["Authorization"])
        send_parts(request, JPEGS) if request.path == "/pictures" else send(request, JPEGS[number])

    with Server(take).on() as elsewhere, Server(lead).on() as url, pytest.raises(SourceError, match="another place of a private") as caught:
        numbers(url.replace("//", "//me:s3cret@"), 9, fps=50, read_timeout_s=0.2)
    assert logins == []
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("pictures", [False, True])
def test_cameras_that_sign_their_certificates_themselves(tmp_path: Path, pictures: bool) -> None:
    certificate, key = make_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    class Handler(BaseHTTPRequestHandler):
        def setup(self) -> None:
            self.request = context.wrap_socket(self.request, server_side=True)
            super().setup()

        def do_GET(self) -> None:
            with suppress(OSError):
                if pictures:
                    send_parts(self, JPEGS[:5])
                else:
                    send(self, JPEGS[int(time.monotonic() * 1000) % 50])

        def finish(self) -> None:
            with suppress(OSError):  # the reader has left
                super().finish()
            self.request.close()

        def log_message(self, *_: object) -> None:
            pass

    with serving(Handler) as host:
        assert len(numbers(f"https://{host}/snap.jpg", 3, fps=50)) == 3


def test_an_image_is_turned_as_its_exif_says() -> None:
    with Server(lambda request, _: send(request, with_exif(6))).on() as url, open_source(url) as source:
        assert next(source).image.shape == (64, 48, 3)


def test_a_camera_whose_image_never_changes_is_alive_and_frozen_after_a_while() -> None:
    buffer = FrameBuffer(3)
    absences: list[str | None] = []

    class Heard(BufferReceiver):
        def put(self, due: Due, write: Callable[[Array], None] | None) -> bool:
            absences.append(due.absence)
            if absences.count("frozen") == 2:
                buffer.stop()
            return super().put(due, write)

    with Server(lambda request, _: send(request, JPEGS[1])).on() as url, pytest.raises(ChannelClosed):
        capture(CaptureSettings("a", url, (5.0,), fps=50, frozen_s=0.3), Heard(buffer))
    assert [kind for kind, _ in itertools.groupby(absences)] == [None, "same", "frozen"]


def test_watch_recognises_what_still_images_show(demo_clip: Path) -> None:
    """At 10 images/s of a clip that shows JumpingJack from 7 to 13 s, as if the camera saw it now."""
    with open_source(demo_clip) as source:
        frames = itertools.takewhile(lambda frame: frame.timestamp < 10.0, source)
        images = [cv2.imencode(".jpg", cv2.resize(frame.image, (320, 240)))[1].tobytes() for frame in frames if frame.timestamp > 7.0]
    begun: list[float] = []

    def answer(request: BaseHTTPRequestHandler, _: int) -> None:
        begun.append(time.monotonic())
        send(request, images[min(round((begun[-1] - begun[0]) * 25), len(images) - 1)])

    with Server(answer).on() as url, watch(f"{url}/snap.jpg", "figure", fps=10) as events:
        event = next(events)
    assert (event.phase, event.label, event.stream.clock) == ("start", "JumpingJack", "arrival")
