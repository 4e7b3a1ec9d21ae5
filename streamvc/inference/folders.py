"""The folders that bundles and backbones lie in."""

import hashlib
import os
import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from streamvc.errors import BundleError

PACKAGE = Path(__file__).parents[1]
SETTLED_S = 2.0  # after which a file that is written again has another time, however coarse the clock of the disk is
VARIABLE = "STREAMVC_MODELS"  # environment variable: folders of models, separated as in PATH


def model_folders() -> list[Path]:
    """Where models are looked for, in this order: `./models`, `$STREAMVC_MODELS`, `models` of a checkout of streamvc, those of an installed one."""
    chosen = [Path(part) for part in os.environ.get(VARIABLE, "").split(os.pathsep) if part]
    return [folder for folder in (Path("models").absolute(), *chosen, PACKAGE.parent / "models", PACKAGE / "models") if folder.is_dir()]


def find(name: str, manifest: str, beside: Path | None = None) -> Iterator[Path]:
    """All folders called `name` (which may be `backbones/NAME`) that hold a file `manifest`: in `beside`, then in the folders of models."""
    folders = [beside, *model_folders()] if beside else model_folders()
    return (folder / name for folder in folders if (folder / name / manifest).is_file())


def sha256(path: Path) -> str:
    """Hash a file; one that has not changed since is not read again.

    Raises:
        BundleError: It cannot be read.
    """
    try:
        found = path.stat()
        is_settled = time.time() - found.st_mtime > SETTLED_S
        return (_hash if is_settled else _hash.__wrapped__)(path, (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns))
    except FileNotFoundError as error:
        raise BundleError(f"{path}: missing; get the bundle again") from error
    except OSError as error:
        raise BundleError(f"{path}: cannot be read: {error.strerror}") from error


@lru_cache(maxsize=1000)
def _hash(path: Path, _version: tuple[int, ...]) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_sha256(path: Path, expected: str) -> None:
    """Refuse a file that is not the one its manifest names.

    Raises:
        BundleError: It is missing, cannot be read, or has another hash.
    """
    if sha256(path) != expected:
        raise BundleError(f"{path}: its sha256 is not the manifest's: the file was damaged or replaced; get the bundle again")
