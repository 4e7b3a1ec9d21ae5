"""The folders that bundles and backbones lie in."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from streamvc.errors import BundleError

PACKAGE = Path(__file__).parents[1]
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
    """Hash a file.

    Raises:
        BundleError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError as error:
        raise BundleError(f"{path}: missing; get the bundle again") from error
    except OSError as error:
        raise BundleError(f"{path}: cannot be read: {error.strerror}") from error


def check_sha256(path: Path, expected: str) -> None:
    """Refuse a file that is not the one its manifest names.

    Raises:
        BundleError: It is missing, cannot be read, or has another hash.
    """
    if sha256(path) != expected:
        raise BundleError(f"{path}: its sha256 is not the manifest's: the file was damaged or replaced; get the bundle again")
