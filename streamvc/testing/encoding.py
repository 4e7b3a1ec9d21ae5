"""Pictures as H.264 in an MPEG transport stream, as network cameras send them."""

from fractions import Fraction

import av
import numpy as np
from av.video.frame import PictureType
from av.video.stream import VideoStream

from streamvc.types import Array

CLOCK_HZ = 90_000
START_S = 3600.0  # the first presentation time, so that there is room before it for one who jumps back
# A zero-latency encoder gives each picture at once, a keyframe where it is told to; with a fixed quantizer, the same one of the same picture.
ENCODING = {"preset": "ultrafast", "tune": "zerolatency", "forced-idr": "1", "qp": "20"}
# One who joins reads the tables first; a picture's end is known without the next one; a new encoder's counters may start anew.
MUXING = {"mpegts_flags": "pat_pmt_at_frames+initial_discontinuity", "omit_video_pes_length": "0", "flush_packets": "1"}


class Encoder:
    """Encodes pictures of one size, with times that only grow; for anything else, make another and go on with its bytes."""

    def __init__(self, size: tuple[int, int], fps: int) -> None:
        """Encode to `size` (width, height) at about `fps` pictures/s, with a keyframe each second."""
        self._written: list[bytes] = []
        self._container = av.open(self, "w", format="mpegts", options=MUXING)
        stream = self._container.add_stream("libx264", rate=fps, options=ENCODING)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, CLOCK_HZ)
        stream.codec_context.gop_size = fps
        self._stream = stream

    def write(self, data: bytes) -> int:
        """Take what the container writes."""
        self._written.append(bytes(data))
        return len(data)

    def step(self, image: Array, time_s: float, *, is_key: bool) -> bytes:
        """The bytes of the picture `image` ((H, W, 3) uint8, BGR, of any size), shown `time_s` after the start."""
        frame = av.VideoFrame.from_ndarray(image, format="bgr24").reformat(self._stream.width, self._stream.height, "yuv420p")
        frame.pts, frame.time_base = round((START_S + time_s) * CLOCK_HZ), Fraction(1, CLOCK_HZ)
        frame.pict_type = PictureType.I if is_key else PictureType.NONE
        self._container.mux(self._stream.encode(frame))
        written, self._written = b"".join(self._written), []
        return written

    def close(self) -> None:
        """Let go of the encoder; what it still has is lost."""
        self._container.close()


def damage(data: bytes, share: float, rng: np.random.Generator) -> bytes:
    """`data` with about this share of its bytes replaced by others."""
    values = np.frombuffer(data, np.uint8)
    noise = rng.integers(1, 256, values.size, dtype=np.uint8)
    return np.where(rng.random(values.size) < share, values ^ noise, values).tobytes()
