"""A bundle and all its backbones in one file, to carry to another machine."""

import re
import tempfile
import zipfile
from pathlib import Path

from streamvc.errors import BundleError
from streamvc.inference.bundle import MANIFEST, Bundle, check_bundle, load_bundle
from streamvc.inference.folders import sha256
from streamvc.inference.manifest import NAME

ENTRY = re.compile(rf"(?P<folder>(?:backbones/)?{NAME})/{NAME}")
WRITTEN = (1980, 1, 1, 0, 0, 0)  # of each entry, so that the same bundle makes the same bytes


def pack(name_or_path: str | Path, out: Path) -> Bundle:
    """Write a bundle and its backbones, with their notices, into one file.

    Raises:
        BundleError: The bundle is damaged, or the file cannot be written.
    """
    bundle = load_bundle(name_or_path)
    files = {f"{bundle.manifest.name}/{name}": bundle.path / name for name in (MANIFEST, *bundle.manifest.files)}
    for folder in bundle.find_backbones():
        files |= {f"backbones/{folder.name}/{path.name}": path for path in folder.iterdir() if path.is_file()}
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as scratch:
            whole = Path(scratch, out.name)
            with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
                for name, path in sorted(files.items()):
                    archive.writestr(zipfile.ZipInfo(name, WRITTEN), path.read_bytes(), zipfile.ZIP_DEFLATED)
            whole.replace(out)
    except OSError as error:
        raise BundleError(f"{out}: cannot be written: {error.strerror}") from error
    return bundle


def install(file: Path, folder: Path, *, overwrite: bool = False) -> Bundle:
    """Take a packed bundle into a folder of models, and its backbones into that folder's `backbones`.

    All of it is checked before any of it is moved there. Backbones that are there already are left as they are.

    Args:
        file: What `pack` wrote.
        folder: Folder of models.
        overwrite: Whether a bundle that is there may be replaced.

    Raises:
        BundleError: The file is damaged or none of these, what is in it is no sound bundle, or what is there stands in its way.
        InferenceError: No runtime here can run it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".install-", dir=folder) as scratch:
            path = _unpack(file, Path(scratch))
            check_bundle(path)
            _move(path, folder, overwrite)
    except OSError as error:
        raise BundleError(f"{file}: cannot be installed in {folder}: {error.strerror}") from error
    return load_bundle(folder / path.name)


def _unpack(file: Path, scratch: Path) -> Path:
    """Unpack into an empty folder; returns the bundle's."""
    try:
        with zipfile.ZipFile(file) as archive:
            found = [ENTRY.fullmatch(name) for name in archive.namelist()]
            bundles = {match["folder"] for match in found if match and "/" not in match["folder"]}
            if not all(found) or len(bundles) != 1:
                raise BundleError(f"{file}: not a packed bundle; make one with: streamvc models pack")
            archive.extractall(scratch)
    except (zipfile.BadZipFile, NotImplementedError, EOFError) as error:
        raise BundleError(f"{file}: damaged, or not a packed bundle: {error}") from error
    return scratch / bundles.pop()


def _move(path: Path, folder: Path, overwrite: bool) -> None:
    """Move a bundle, and the backbones beside it, into a folder of models."""
    target = folder / path.name
    if target.exists() and not (overwrite and (target / MANIFEST).is_file()):
        hint = "allow it to be replaced with --overwrite, or choose" if (target / MANIFEST).is_file() else "choose"
        raise BundleError(f"{target}: exists; {hint} another folder with --to")
    backbones = {backbone: folder / "backbones" / backbone.name for backbone in sorted((path.parent / "backbones").glob("*"))}
    for backbone, place in backbones.items():
        if place.exists() and _networks(place) != _networks(backbone):
            raise BundleError(f"{place}: another backbone of this name is there; choose another folder with --to")
    (folder / "backbones").mkdir(exist_ok=True)
    for backbone, place in backbones.items():
        if not place.exists():
            backbone.rename(place)
    if target.exists():
        target.rename(path.parent / "old")
    path.rename(target)


def _networks(folder: Path) -> dict[str, str]:
    return {path.name: sha256(path) for path in folder.glob("*.tflite")}
