"""Calls what belongs to somebody else (a sink, whoever is told of health), and lets none of its errors go further."""

import logging
from collections.abc import Callable
from typing import Generic, TypeVar

from streamvc.capture.address import redact
from streamvc.errors import MessageError, StreamvcError

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Contained(Generic[T]):
    """A function whose errors are logged, when they begin and when they are over, and end nothing. May be called by any thread.

    Attributes:
        problem: What it raised the last time, in words; None where it raised nothing.
        error: The first that it has ever raised; None where there was none.
    """

    def __init__(self, name: str, function: Callable[[T], None], changed: Callable[[], None] = lambda: None) -> None:
        """Call `function`.

        Args:
            name: What it is, in messages to people.
            function: What is called.
            changed: Is called when there is a problem, and when there is none any more.
        """
        self.problem: str | None = None
        self.error: Exception | None = None
        self._name = name
        self._function = function
        self._changed = changed
        self._num_failures = 0

    def __call__(self, item: T) -> None:
        try:
            self._function(item)
        except MessageError:  # it is that of the camera whose item cannot be published
            raise
        except Exception as error:  # whatever it is, it is this function's alone
            self._fail(error)
        else:
            self._succeed()

    def _fail(self, error: Exception) -> None:
        self._num_failures += 1
        self.error = self.error or error
        is_expected = isinstance(error, StreamvcError | OSError)
        words = redact(str(error) if isinstance(error, StreamvcError) else f"{type(error).__name__}: {error}")
        is_new, self.problem = self.problem is None, f"{self._name} has failed: {words}"
        if is_new:
            logger.error("%s; all else goes on", self.problem, exc_info=not is_expected)
            self._changed()

    def _succeed(self) -> None:
        if self.problem is not None:
            logger.warning("%s works again, after %d failures", self._name, self._num_failures)
            self.problem, self._num_failures = None, 0
            self._changed()


def name_of(function: object) -> str:
    """What a function, or an object that is called, is named in its program."""
    return str(getattr(function, "__name__", None) or type(function).__name__)
