"""Real servers on the loopback that do what cameras do: serve, ask for a password, fall silent, hang up."""

import functools
import threading
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2

from streamvc.types import Array


@contextmanager
def serving(handler: Callable[..., BaseHTTPRequestHandler]) -> Iterator[str]:
    """Serve HTTP; gives `127.0.0.1:port`."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class Files(SimpleHTTPRequestHandler):
    """Files of a folder."""

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving_files(folder: Path) -> Iterator[str]:
    with serving(functools.partial(Files, directory=str(folder))) as host:
        yield f"http://{host}"


class Camera:
    """A camera that sends JPEG pictures over HTTP (multipart), then hangs up, or falls silent until it is switched off."""

    def __init__(self, images: Iterable[Array], *, then: str = "hang up", login: str | None = None) -> None:
        self._images = images
        self._silent = then == "fall silent"
        self._authorization = login and "Basic " + b64encode(login.encode()).decode()
        self._off = threading.Event()

    @contextmanager
    def on(self) -> Iterator[str]:
        camera = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                camera.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        with serving(Handler) as host:
            try:
                yield host
            finally:
                self._off.set()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        if self._authorization and request.headers["Authorization"] != self._authorization:
            request.send_response(401)
            request.send_header("WWW-Authenticate", 'Basic realm="camera"')
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        request.send_response(200)
        request.send_header("Content-Type", "multipart/x-mixed-replace; boundary=picture")
        request.end_headers()
        try:
            for image in self._images:
                jpeg = cv2.imencode(".jpg", image)[1].tobytes()
                request.wfile.write(b"--picture\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%b\r\n" % (len(jpeg), jpeg))
        except OSError:  # the reader has left
            return
        if self._silent:
            self._off.wait()
