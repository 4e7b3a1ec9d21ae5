"""Pictures in memory that two processes share: a decoder writes them, the node reads them.

The memory is sealed: neither can make it smaller, which would end the other as soon as it looks at what is gone (SIGBUS).
"""

import fcntl
import mmap
import os
from collections.abc import Callable
from typing import Self

import numpy as np
from numpy.typing import NDArray

NUM_SLOTS = 6  # one that is analysed, two that wait (one of them behind an end), one on its way, one being written; and one for a burst
HEADER = mmap.PAGESIZE  # bytes before the first slot; one of each slot says whether it is in use

SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL

Image = NDArray[np.uint8]


class Loan:
    """A picture in a slot of a ring, until it is given back."""

    def __init__(self, image: Image, used: Image, released: Callable[[], None] | None = None) -> None:
        self.image = image
        self._used: Image | None = used
        self._released = released

    def release(self) -> None:
        """Give the slot back. May be called by any thread; only the first call does anything."""
        used, self._used = self._used, None
        if used is not None:
            used[0] = False
            if self._released:
                self._released()


class Ring:
    """Slots for pictures of one size. The memory lives as long as an array or a loan of it, in either process.

    Neither process waits for the other, nor is told: the writer marks a slot as used, the reader as free, by a byte in the memory itself.
    """

    def __init__(self, descriptor: int, height: int, width: int) -> None:
        """Use the memory behind a descriptor, which may be closed then; -1 for memory that no other process knows.

        Raises:
            ValueError: It is too small for such pictures, or could become so, or they have no size.
        """
        if height < 1 or width < 1:
            raise ValueError(f"pictures cannot be {width} x {height}")
        if descriptor >= 0 and not _is_sealed(descriptor):
            raise ValueError("the memory of its pictures is not sealed")
        memory = np.frombuffer(mmap.mmap(descriptor, num_bytes(height, width)), np.uint8)
        self._used = memory[:NUM_SLOTS]
        self._images = memory[HEADER:].reshape(NUM_SLOTS, height, width, 3)

    @classmethod
    def of_memory(cls, height: int, width: int) -> Self:
        """A ring for two threads of one process."""
        return cls(-1, height, width)

    @property
    def shape(self) -> tuple[int, ...]:
        """(H, W, 3) of its pictures."""
        return self._images.shape[1:]

    def claim(self) -> int | None:
        """For the writer: the number of a free slot, which is in use from now on. None where all are.

        Always the lowest, so that memory is only taken for as many as are in use at once.
        """
        free = np.flatnonzero(self._used == 0)
        if not len(free):
            return None
        self._used[free[0]] = True
        return int(free[0])

    @property
    def is_half_free(self) -> bool:
        """For a writer that waits: there is room for several pictures, so that it is woken once for all of them."""
        return bool(2 * np.count_nonzero(self._used) <= NUM_SLOTS)

    def slot(self, number: int) -> Image:
        """For the writer: the picture of a slot, (H, W, 3) uint8."""
        image: Image = self._images[number]
        return image

    def lend(self, number: int, released: Callable[[], None] | None = None) -> Loan:
        """For the reader: what was written into a slot, read-only; `released` is called when it is given back.

        Raises:
            ValueError: There is no such slot.
        """
        if number not in range(NUM_SLOTS):
            raise ValueError(f"there is no slot {number}")
        image = self.slot(number)
        image.flags.writeable = False
        return Loan(image, self._used[number : number + 1], released)


def new_memory(height: int, width: int) -> int:
    """A descriptor of new memory for a ring of such pictures. It has no name, so nothing is left of it, however the processes end.

    Not `multiprocessing.shared_memory`: that lies in /dev/shm, which containers keep small.
    """
    descriptor = os.memfd_create("streamvc-ring", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(descriptor, num_bytes(height, width))
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, SEALS)
    return descriptor


def num_bytes(height: int, width: int) -> int:
    """Of the memory of a ring."""
    return HEADER + NUM_SLOTS * height * width * 3


def _is_sealed(descriptor: int) -> bool:
    try:
        return fcntl.fcntl(descriptor, fcntl.F_GET_SEALS) & SEALS == SEALS
    except OSError:  # it is no such memory at all
        return False
