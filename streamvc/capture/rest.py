"""Decoding as little as can be: while a camera sees nothing move, and where there is no time for more.

A picture of most codecs is made from those before it, back to the last keyframe. While nobody wants to see what comes, the packets in between are
kept as they are, and forgotten at the next keyframe. When one of them is larger than usual, something has changed in front of the camera: what was
kept is decoded in one go then, so that the very picture is there in which it happened.

Who is late leaves out all that lies there, and goes on with the next keyframe.
"""

from typing import Literal

from av.packet import Packet
from av.video.stream import VideoStream

from streamvc.sampling import GAP_S

Unseen = Literal["still", "late", "same"]  # why a picture is left undecoded; the last: it was asked for, and is the one that was there before

CODECS = ("h264", "hevc")  # of which it was tried; of a codec of keyframes alone, nothing can be kept
SURPRISE = 2.0  # times the usual size of a packet ...
SPARE_BYTES = 200  # ... and so much more: where next to nothing happens, the sizes mean little
SMOOTHING = 0.1  # share of a new size in the usual one: a second makes it that of a still picture
LONGEST_S = 2.5  # of what is kept: it has to be decoded in one go
MAX_WAIT = 600  # packets for which a keyframe is waited for; some streams have none, and refresh their pictures bit by bit


class Rest:
    """Says which packets can be left alone for now, and keeps them.

    A stream whose keyframes turn out not to stand for themselves, or whose pictures do not come in the order of their packets, does not rest.

    Attributes:
        wanted: Set by whoever looks at the pictures: nothing in them matters until further notice. It is unset where one has to be looked at.
        longest_s: Seconds after which one has to be, at the latest.
        skips: Set by whoever is late: leave out everything until it is unset, and then what is made from that.
    """

    def __init__(self, video: VideoStream) -> None:
        self.wanted = False
        self.longest_s = LONGEST_S
        self.skips = False
        self._codec = video.codec_context
        self._tick_s = float(video.time_base or 0)
        self._is_possible = self._codec.name in CODECS and self._tick_s > 0
        self._kept: list[Packet[VideoStream]] = []
        self._usual_bytes = 0.0
        self._pts: int | None = None  # of the last packet
        self._num_awaiting: int | None = None  # packets left out since a keyframe is waited for; None while none is

    def leaves(self, packet: "Packet[VideoStream]") -> Unseen | None:
        """Why this packet, the next of the stream, can be left alone; None where it cannot."""
        must_be_seen = [self._is_surprising(packet), self._is_apart(packet.pts)]  # each has to know all packets
        if self._is_skipped(packet):
            self._kept.clear()
            self.wanted = False
            return "late"
        if not self.wanted:
            return None
        is_in_order = self._is_possible and not self._codec.has_b_frames
        self.wanted = is_in_order and not (packet.is_keyframe or any(must_be_seen) or self._is_late(packet.pts))
        if not self.wanted:
            return None
        self._kept.append(packet)
        return "still"

    def take(self) -> "list[Packet[VideoStream]]":
        """What was kept: it has to be decoded before the next packet, unless that is a keyframe."""
        kept, self._kept = self._kept, []
        return kept

    def never(self) -> None:
        """Do not rest any more."""
        self._is_possible = False

    def _is_skipped(self, packet: "Packet[VideoStream]") -> bool:
        """Whether there is no time for it, or what it is made from was left out."""
        if self.skips:
            self._num_awaiting = 0
        elif self._num_awaiting is not None:
            self._num_awaiting += 1
            if packet.is_keyframe or self._num_awaiting > MAX_WAIT:
                self._num_awaiting = None
                self._codec.flush_buffers()  # what follows a keyframe may refer to what was before
        return self._num_awaiting is not None

    def _is_surprising(self, packet: "Packet[VideoStream]") -> bool:
        if packet.is_keyframe:
            return False
        usual, self._usual_bytes = self._usual_bytes, self._usual_bytes + SMOOTHING * (packet.size - self._usual_bytes)
        return packet.size > SURPRISE * usual + SPARE_BYTES

    def _is_apart(self, pts: int | None) -> bool:
        """Whether there is a gap before a packet of this time: who looks at the pictures has forgotten those before. Also where it has none."""
        before, self._pts = self._pts, pts
        return before is None or pts is None or not 0 <= (pts - before) * self._tick_s <= GAP_S

    def _is_late(self, pts: int | None) -> bool:
        """Whether too much has been kept before a packet of this time."""
        first = self._kept[0].pts if self._kept else pts
        return first is None or pts is None or (pts - first) * self._tick_s > self.longest_s
