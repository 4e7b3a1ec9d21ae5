"""Opens whatever an address stands for."""

import hashlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from streamvc.capture import address
from streamvc.capture.camera import open_camera
from streamvc.capture.images import open_images
from streamvc.capture.ip_camera import open_ip_camera
from streamvc.capture.stream import Decode, Stream
from streamvc.capture.video import open_file, open_url
from streamvc.errors import SourceError

OPEN_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 5.0

BLOCK_BYTES = 1 << 20
NUM_BLOCKS = 64  # of a file that go into its hash; of a longer one, so many that lie evenly in it


def open_stream(
    source: str | int | Path,
    *,
    fps: float | None = None,
    open_timeout_s: float = OPEN_TIMEOUT_S,
    read_timeout_s: float = READ_TIMEOUT_S,
    decode: Decode = "all",
) -> AbstractContextManager[Stream]:
    """Open a source whose pictures are taken, and those that are wanted converted, by the calling thread, as fast as it can.

    Args:
        source: As for `open_source`.
        fps: Images a second: of a folder, 25 if None; of a still image that is asked for over HTTP, 5.
        open_timeout_s: Seconds after which a stream that does not answer is given up.
        read_timeout_s: Seconds after which a stream that falls silent is lost.
        decode: Which pictures of a video are decoded at all.

    Raises:
        SourceError: It cannot be opened.
    """
    found = address.find(source)
    match found.kind:
        case "camera":
            return open_camera(int(found.location), read_timeout_s)
        case "file":
            return open_file(found.location, decode)
        case "images":
            return open_images(Path(found.location), fps)
        case "url" if found.location.lower().startswith(("http:", "https:", "tcp:")):
            return open_ip_camera(found.location, found.name, (open_timeout_s, read_timeout_s), decode, fps)
        case "url":
            return open_url(found.location, found.name, (open_timeout_s, read_timeout_s), decode)


def content_id(source: str | int | Path) -> str | None:
    """What tells a recording from others of its name: a hash of what is in the file, or in the folder of images. None for all that is no recording.

    Raises:
        SourceError: It cannot be read.
    """
    found = address.find(source)
    if found.kind not in ("file", "images"):
        return None
    path = Path(found.location)
    digest = hashlib.sha256()
    try:
        for block in _blocks(path) if path.is_file() else _listing(path):
            digest.update(block)
    except OSError as error:
        raise SourceError(f"{found.name}: cannot be read ({error.strerror})") from error
    return digest.hexdigest()


def _blocks(path: Path) -> Iterator[bytes]:
    num_bytes = path.stat().st_size
    yield str(num_bytes).encode()
    with path.open("rb") as file:
        step = max(BLOCK_BYTES, (num_bytes - BLOCK_BYTES) // (NUM_BLOCKS - 1) if num_bytes > NUM_BLOCKS * BLOCK_BYTES else 0)
        for begin in range(0, num_bytes, step):
            file.seek(begin)
            yield file.read(BLOCK_BYTES)


def _listing(folder: Path) -> Iterator[bytes]:
    for path in sorted(folder.iterdir()):
        found = path.stat()
        yield f"{path.name}\n{found.st_size}\n".encode(errors="surrogateescape")
    yield next((path.read_bytes()[:BLOCK_BYTES] for path in sorted(folder.iterdir()) if path.is_file()), b"")
