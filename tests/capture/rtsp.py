"""A small RTSP camera: H.264 in RTP over the RTSP connection itself (RFC 2326, RFC 6184), with a digest login. Where GStreamer's server is installed,
the tests use that as well (`streamvc.testing.rtsp`)."""

import hashlib
import re
import socketserver
import struct
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction

import av
from av.video.codeccontext import VideoCodecContext

from .videos import plain

CLOCK_HZ = 90_000
SECOND = Fraction(1, CLOCK_HZ)


def encode(ticks: list[int]) -> list[list[bytes]]:
    """Plain pictures at these times (1/90000 s) as H.264: for each, its NAL units."""
    codec = av.CodecContext.create("libx264", "w")
    assert isinstance(codec, VideoCodecContext)
    codec.width, codec.height, codec.pix_fmt, codec.time_base = 64, 48, "yuv420p", SECOND
    codec.options = {"tune": "zerolatency", "g": "5"}
    pictures = []
    for number, tick in enumerate(ticks):
        frame = av.VideoFrame.from_ndarray(plain(number), format="rgb24")
        frame.pts, frame.time_base = tick, SECOND
        (packet,) = codec.encode(frame)
        pictures.append([unit for unit in re.split(b"\0\0\0?\1", bytes(packet)) if unit])
    return pictures


class RtspCamera:
    """Sends one picture for each of `ticks` (1/90000 s), without waiting, then hangs up, or falls silent until it is switched off."""

    def __init__(self, ticks: list[int], *, then: str = "hang up", login: str | None = None, length_s: float | None = None) -> None:
        self._range = "npt=now-" if length_s is None else f"npt=0-{length_s}"
        self._ticks = ticks
        self._pictures = encode(ticks)
        self._silent = then == "fall silent"
        self._login = login
        self._off = threading.Event()

    @contextmanager
    def on(self) -> Iterator[str]:
        camera = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                with suppress(OSError):  # the reader has left
                    camera.serve(self)

        with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
            thread = threading.Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            try:
                yield f"127.0.0.1:{server.server_address[1]}"
            finally:
                self._off.set()
                server.shutdown()
                thread.join()

    def serve(self, peer: socketserver.StreamRequestHandler) -> None:
        while line := peer.rfile.readline().decode():
            method, url, _ = line.split()
            headers = dict(header.split(": ", 1) for header in iter(lambda: peer.rfile.readline().decode().strip(), ""))
            peer.wfile.write(self._answer(method, url, headers).encode())
            if method == "PLAY":
                self._play(peer)
                return

    def _answer(self, method: str, url: str, headers: dict[str, str]) -> str:
        head = {"CSeq": headers["CSeq"]}
        if self._login and method != "OPTIONS" and not self._knows(headers.get("Authorization", ""), method):
            head["WWW-Authenticate"] = 'Digest realm="camera", nonce="7"'
            return message("401 Unauthorized", head)
        match method:
            case "DESCRIBE":
                head |= {"Content-Type": "application/sdp", "Content-Base": f"{url}/"}
                return message("200 OK", head, self._description())
            case "SETUP":
                head |= {"Transport": "RTP/AVP/TCP;unicast;interleaved=0-1", "Session": "1"}
        return message("200 OK", head)

    def _knows(self, authorization: str, method: str) -> bool:
        given = dict(re.findall(r'(\w+)="([^"]*)"', authorization))
        user, _, password = str(self._login).partition(":")
        secret, request = (hashlib.md5(text.encode()).hexdigest() for text in (f"{user}:camera:{password}", f"{method}:{given.get('uri')}"))
        return given.get("response") == hashlib.md5(f"{secret}:7:{request}".encode()).hexdigest()

    def _description(self) -> str:
        sets = ",".join(b64encode(unit).decode() for unit in self._pictures[0] if unit[0] & 31 in (7, 8))
        lines = ("v=0", "o=- 0 0 IN IP4 127.0.0.1", "s=camera", "t=0 0", "m=video 0 RTP/AVP 96", "a=rtpmap:96 H264/90000", f"a=range:{self._range}")
        return "\r\n".join((*lines, f"a=fmtp:96 packetization-mode=1;sprop-parameter-sets={sets}", "a=control:track", ""))

    def _play(self, peer: socketserver.StreamRequestHandler) -> None:
        sequence = 0
        for tick, units in zip(self._ticks, self._pictures, strict=True):
            for unit in units:
                marker = 0x80 if unit is units[-1] else 0
                packet = struct.pack(">BBHII", 0x80, marker | 96, sequence, tick, 1) + unit
                peer.wfile.write(struct.pack(">cBH", b"$", 0, len(packet)) + packet)
                sequence += 1
        if self._silent:
            self._off.wait()


def message(status: str, headers: dict[str, str], body: str = "") -> str:
    lines = [f"RTSP/1.0 {status}", *(f"{name}: {value}" for name, value in headers.items()), f"Content-Length: {len(body)}", "", body]
    return "\r\n".join(lines)
