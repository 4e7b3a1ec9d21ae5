"""Keeps the log lines that native libraries write to stderr at start-up off it."""

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

# "INFO: Created TensorFlow Lite XNNPACK delegate for CPU.", and abseil's "I0000 00:00:1795298042.067163    8421 reader.cc:83] ..."
# A machine without a GPU is no error, though TensorFlow calls it one: "E0000 ... cuda_platform.cc:52] failed call to cuInit".
CHATTER = re.compile(rb"INFO: |fully_quantize: |[IW]\d{4} \d|E\d{4} .*(cuInit|oneDNN supports)|WARNING: All log messages before absl")


@contextmanager
def hide_native_logs() -> Iterator[None]:
    """Hold back what is written to stderr meanwhile and let through all but information: these libraries have no other switch for it."""
    _flush()
    try:
        stderr = os.dup(2)
    except OSError:  # there is no stderr
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            _flush()
            os.dup2(stderr, 2)
            os.close(stderr)
            held.seek(0)
            os.write(2, b"".join(line for line in held if not CHATTER.match(line)))


def _flush() -> None:
    if sys.stderr:
        sys.stderr.flush()
