"""A real RTSP server, GStreamer's, that can be killed and started again."""

import subprocess
import sys
from pathlib import Path
from typing import Self

SERVER = Path(__file__).with_name("gstreamer_server.py")
PACKAGES = "gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-good gstreamer1.0-plugins-ugly python3-gi"  # Debian's
LOOK = (
    "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import Gst, GstRtspServer; Gst.init(None);"
    " assert Gst.ElementFactory.find('x264enc') and Gst.ElementFactory.find('rtph264pay')"
)


def find_gstreamer() -> str | None:
    """A Python that has GStreamer's RTSP server: the system's, mostly. None where `PACKAGES` are not installed."""
    pythons = [python for python in ("/usr/bin/python3", sys.executable) if Path(python).exists()]
    return next((python for python in pythons if subprocess.run([python, "-c", LOOK], capture_output=True).returncode == 0), None)


class RtspServer:
    """Serves cameras on loopback while its `with` block runs, in a process of its own: H.264, 320x240, 25 frames/s, a ball that moves.

    It can be killed and started again as often as is liked: its addresses stay the same.
    """

    def __init__(self, python: str, *cameras: str, login: str | None = None) -> None:
        """Prepare a server of these cameras, by their names; `python` is from `find_gstreamer`, `login` is USER:PASSWORD, to be asked for."""
        self._command = [python, str(SERVER), *cameras, *(["--login", login] if login else [])]
        self._login = f"{login}@" if login else ""
        self._process: subprocess.Popen[str] | None = None
        self._port = 0  # a free one

    def url(self, camera: str) -> str:
        """Where to watch a camera, with the login; known once it has been started."""
        return f"rtsp://{self._login}127.0.0.1:{self._port}/{camera}"

    def start(self) -> None:
        """Start it, and wait until it serves.

        Raises:
            OSError: It does not start: its port was taken meanwhile, for instance.
        """
        self._process = subprocess.Popen([*self._command, "--port", str(self._port)], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        port = self._process.stdout.readline()
        if not port:
            self.kill()
            raise OSError("GStreamer's RTSP server does not start")
        self._port = int(port)

    def kill(self) -> None:
        """Kill it, and all its connections with it."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
