"""Whether a thread has had to wait for something, or found it there."""

import resource
import time

WAITED_S = 0.001  # seconds that it took at least

OF_THREAD = getattr(resource, "RUSAGE_THREAD", None)  # on Linux


class BlockingDetector:
    """Tells waiting from working, of the thread that calls it.

    That it took long is not enough: where there are more threads than processors, a thread may have been the one that was made to wait for its turn.

    Attributes:
        asked: `time.monotonic()` when the thread was last ready for more, in seconds.
    """

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """The thread is ready for more."""
        self.asked = time.monotonic()
        self._num_given_up = _num_given_up()

    def was_needed(self, came: float) -> bool:
        """Whether what has come at `came`, in seconds of `time.monotonic()`, was not there yet when the thread was ready for it."""
        return came - self.asked >= WAITED_S and (OF_THREAD is None or _num_given_up() > self._num_given_up)


def _num_given_up() -> int:
    """How often the thread has given up its processor of itself; 0 where the system does not say."""
    return 0 if OF_THREAD is None else resource.getrusage(OF_THREAD).ru_nvcsw
