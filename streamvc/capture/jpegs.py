"""Finds JPEG pictures in bytes, whatever stands between them and wherever the bytes begin."""

import re
from collections.abc import Iterator

MAX_BYTES = 1 << 25  # of a picture; one that is longer has no end
START = re.compile(rb"\xff\xd8\xff[\xc0-\xfe]")
NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # one that does not belong to the coded picture
ALONE = frozenset({0x01, 0xFF, *range(0xD0, 0xD8)})  # markers without a segment behind them, and what may fill the space before one
SOI, EOI, SOS = 0xD8, 0xD9, 0xDA
START_MARK, END = b"\xff\xd8", b"\xff\xd9"


class JpegSplitter:
    """Takes bytes as they come; gives whole pictures, each as soon as it is whole, and None for one that is damaged.

    What is between pictures (the headers of multipart, in all their kinds) is passed over, and so is the rest of a picture at the beginning. A
    picture is followed from segment to segment, so that a thumbnail within it is not taken for one.
    """

    def __init__(self) -> None:
        self._held = bytearray()  # from the start of a picture on, where one has begun
        self._at = 0  # up to where it was followed; 0 where none has begun
        self._is_data = False  # there, the coded picture goes on
        self._has_ends = False  # pictures here say where they end: one that does not was cut off

    @property
    def has_begun(self) -> bool:
        """A picture has begun that is not whole yet."""
        return self._at > 0

    def step(self, data: bytes) -> Iterator[bytes | None]:
        """Take the next bytes."""
        self._held += data
        while self._begin() and (length := self._length()) is not None:
            yield self._take(length)

    def flush(self) -> Iterator[bytes | None]:
        """There are no more bytes; what comes next is something else."""
        if self._at:
            yield self._take(len(self._held) if self._is_data else 0)
        self._held.clear()

    def _begin(self) -> bool:
        """Go to the start of a picture; False where there is none."""
        if self._at:
            return True
        if not (start := START.search(self._held)):
            del self._held[:-3]
            return False
        del self._held[: start.start()]
        self._at, self._is_data = 2, False
        return True

    def _length(self) -> int | None:
        """How many bytes the picture has; 0 where it is damaged, None where that is not known yet."""
        held = self._held
        while len(held) <= MAX_BYTES:
            was_data = self._is_data
            if self._is_data:
                if not (marker := NEXT_MARKER.search(held, self._at)):
                    self._at = max(self._at, len(held) - 1)
                    return None
                self._at, self._is_data = marker.start(), False
            if len(held) < self._at + 4 and held[self._at : self._at + 2] != END:
                self._is_data = was_data
                return None
            kind = held[self._at + 1]
            if kind == EOI and held[self._at] == 0xFF:
                return self._at + 2
            if held[self._at] != 0xFF or kind == SOI:
                return self._at if was_data else 0  # it was cut off
            self._is_data = kind == SOS
            self._at += 1 if kind == 0xFF else 2 if kind in ALONE else 2 + int.from_bytes(held[self._at + 2 : self._at + 4])
        return 0

    def _take(self, length: int) -> bytes | None:
        """The picture of this many bytes. What is damaged may hold the start of the next."""
        picture = bytes(self._held[:length])
        del self._held[: length or len(START_MARK)]
        self._at, self._is_data = 0, False
        is_whole = picture.endswith(END)
        self._has_ends = self._has_ends or is_whole
        return picture if is_whole else picture + END if picture and not self._has_ends else None
