"""Fixtures for all tests: a test that leaves a thread or a process behind fails; real data is found or the test is skipped."""

import logging
import os
import resource
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
from hypothesis import settings

from streamvc.capture.opening import READ_TIMEOUT_S
from streamvc.testing.rtsp import PACKAGES, find_gstreamer

# How long an example takes says nothing on a machine that others use too.
settings.register_profile("streamvc", deadline=None)
settings.load_profile("streamvc")

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared" / "data"


@pytest.hookimpl(trylast=True)  # of those that are chosen
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where several run at a time, file by file, the longest files first: none is left for the end, for one of them alone."""
    if hasattr(config, "workerinput"):
        weights = Counter[Path]()
        for item in items:
            is_long = item.get_closest_marker("train") or item.path.parent.name == "node"  # to learn, and to wait for cameras, takes seconds
            weights[item.path] += 30 if item.get_closest_marker("slow") else 8 if is_long else 1
        items.sort(key=lambda item: -weights[item.path])


@pytest.fixture(autouse=True)
def _nothing_left_behind() -> Iterator[None]:
    root = logging.getLogger()
    level, handlers = root.level, set(root.handlers)
    threads = set(threading.enumerate())
    processes = set(psutil.Process().children(recursive=True))
    yield
    root.setLevel(level)  # what a command has set up for its own process
    for handler in set(root.handlers) - handlers:
        root.removeHandler(handler)
    for thread in set(threading.enumerate()) - threads:
        if thread.name == "streamvc-capture":  # one that was let go in a read ends at its time-out
            thread.join(READ_TIMEOUT_S + 1.0)
    left_threads = {thread for thread in threading.enumerate() if thread not in threads and thread.name.startswith("streamvc-")}
    assert not left_threads, f"threads left behind: {left_threads}"
    left_processes = {child for child in psutil.Process().children(recursive=True) if child not in processes and child.is_running()}
    assert not left_processes, f"processes left behind: {left_processes}"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real videos that lie beside a development checkout."""
    if not SHARED.is_dir():
        pytest.skip(f"the real videos are not at {SHARED}")
    return SHARED


@pytest.fixture(scope="session")
def demo_clip() -> Path:
    """The clip that ships with the package."""
    return ROOT / "streamvc" / "demo" / "figure.mp4"


@pytest.fixture(scope="session")
def gstreamer() -> str:
    """A Python that has GStreamer's RTSP server, for `streamvc.testing.rtsp`."""
    return find_gstreamer() or pytest.skip(f"GStreamer's RTSP server is not installed (Debian: {PACKAGES})")


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """A program that has 1,100 files open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 4000:
        pytest.skip("no more than a few thousand files may be open here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (4000, hard))
    with ExitStack() as opened:
        opened.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        for _ in range(1100):
            opened.enter_context(open(os.devnull))  # noqa: PTH123
        yield
