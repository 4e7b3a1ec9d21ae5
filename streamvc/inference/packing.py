"""A bundle and all its backbones in one file, to carry to another machine."""

import re
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from streamvc.errors import BundleError, StreamvcError
from streamvc.inference.backbone import MANIFEST as BACKBONE_MANIFEST
from streamvc.inference.backbone import sound_backbone
from streamvc.inference.bundle import MANIFEST, Bundle, check_bundle, load_bundle
from streamvc.inference.composite import sound_pose
from streamvc.inference.folders import find, model_folders, sha256
from streamvc.inference.manifest import NAME, BackboneManifest, BundleManifest, read_manifest
from streamvc.inference.pose.tracker import MANIFEST as POSE_MANIFEST

ENTRY = re.compile(rf"(?P<folder>(?P<beside>backbones/)?(?P<name>{NAME}))/(?P<file>{NAME})")
WRITTEN = (1980, 1, 1, 0, 0, 0)  # of each entry, so that the same bundle makes the same bytes
BACKBONE_FILES = (BACKBONE_MANIFEST, "backbone.tflite", "NOTICE", "LICENSE")
POSE_FILES = (POSE_MANIFEST, "detect.tflite", "landmark.tflite", "NOTICE", "LICENSE")
# What is unpacked, at most. The largest backbone that can be made, vgg16-fc2 in float32, has 540 MB; networks hardly shrink when they are packed.
NUM_FILES, MOST_BYTES, MOST_SHRUNK, SMALL_BYTES = 100, 1 << 30, 100, 1 << 20
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def pack(name_or_path: str | Path, out: Path) -> Bundle:
    """Write a bundle and its backbones, with their notices, into one file.

    Raises:
        BundleError: The bundle is damaged, or the file cannot be written.
    """
    bundle = load_bundle(name_or_path)
    files = {f"{bundle.manifest.name}/{name}": bundle.path / name for name in (MANIFEST, *bundle.manifest.files)}
    for folder in bundle.find_backbones():
        known = {*BACKBONE_FILES, *POSE_FILES}
        files |= {f"backbones/{folder.name}/{path.name}": path for path in folder.iterdir() if path.name in known and path.is_file()}
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
            try:
                path = _unpack(file, Path(scratch))
                _check_backbones(file, check_bundle(path))
            except StreamvcError as error:  # where it was unpacked to is gone when that is read
                raise type(error)(str(error).replace(f"{scratch}/", f"{file}: ")) from error
            _move(path, folder, overwrite)
    except OSError as error:
        raise BundleError(f"{file}: cannot be installed in {folder}: {error.strerror}") from error
    return load_bundle(folder / path.name)


def contents(file: Path) -> dict[str, int]:
    """What is in a packed bundle: each file's name, and its size in bytes when it is unpacked.

    Raises:
        BundleError: The file is none, or there is too much in it.
    """
    with _opened(file) as archive:
        return {entry.filename: entry.file_size for entry in archive.infolist()}


@contextmanager
def _opened(file: Path) -> Iterator[zipfile.ZipFile]:
    """A packed bundle, of which all names were seen to lie inside, and which is not too large when it is unpacked."""
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            found = [ENTRY.fullmatch(entry.filename) for entry in entries]
            if not all(found) or len({match["name"] for match in found if match and not match["beside"]}) != 1:
                raise BundleError(f"{file}: not a packed bundle; make one with: streamvc models pack")
            if problem := _excess(entries):
                raise BundleError(f"{file}: {problem}; it is not unpacked")
            yield archive
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, ValueError, EOFError) as error:  # a password, a wrong date, ...
        raise BundleError(f"{file}: damaged, or not a packed bundle: {error}") from error


def _unpack(file: Path, scratch: Path) -> Path:
    """Unpack into an empty folder; returns the bundle's."""
    with _opened(file) as archive:
        archive.extractall(scratch)
        found = [match for name in archive.namelist() if (match := ENTRY.fullmatch(name))]
    path = scratch / next(match["name"] for match in found if not match["beside"])
    _refuse_unnamed(file, path, found)
    return path


def _excess(entries: Sequence[zipfile.ZipInfo]) -> str | None:
    """What there is too much of in a packed bundle. No more is ever unpacked of an entry than its head says."""
    num_bytes = sum(entry.file_size for entry in entries)
    if len(entries) > NUM_FILES or len({entry.filename for entry in entries}) < len(entries):
        return f"it has {len(entries)} files, more than {NUM_FILES} or one of them twice"
    if num_bytes > MOST_BYTES:
        return f"it has {num_bytes / 1e6:.0f} MB unpacked, more than {MOST_BYTES / 1e6:.0f}"
    if any(entry.file_size > max(SMALL_BYTES, MOST_SHRUNK * entry.compress_size) for entry in entries):
        return f"a file in it was packed to less than 1/{MOST_SHRUNK}, which no network can be"
    if any(entry.compress_type not in METHODS for entry in entries):
        return "it was packed in another way than by streamvc models pack"
    return None


def _refuse_unnamed(file: Path, path: Path, found: Sequence[re.Match[str]]) -> None:
    """Refuse what the manifest does not name: it would be installed without anybody having checked it."""
    manifest = read_manifest(path / MANIFEST, BundleManifest)
    references = [manifest.backbone, *(part.backbone for part in manifest.parts)]
    named: Mapping[str, tuple[str, ...]] = {
        path.name: (MANIFEST, *manifest.files),
        **{f"backbones/{reference.name}": BACKBONE_FILES for reference in references if reference},
        **({f"backbones/{manifest.pose.name}": POSE_FILES} if manifest.pose else {}),
    }
    if unnamed := [match[0] for match in found if match["file"] not in named.get(match["folder"], ())]:
        raise BundleError(f"{file}: it brings {unnamed[0]}, which its manifest does not name; it is not installed")
    if manifest.name != path.name:
        raise BundleError(f"{file}: its folder is called {path.name} and the bundle in it {manifest.name}")


def _check_backbones(file: Path, bundle: Bundle) -> None:
    """Refuse backbones beside the bundle that are damaged, or not those that it was made for: others may be found by their names."""
    brought = sorted((bundle.path.parent / "backbones").glob("*"))
    for folder in brought:
        if (folder / POSE_MANIFEST).is_file():
            sound_pose(folder)
        else:
            sound_backbone(folder)
    if other := {*brought} - {*bundle.find_backbones()}:
        raise BundleError(f"{file}: the backbone {other.pop().name} in it is not the one that the bundle was made for; get the file again")


def _move(path: Path, folder: Path, overwrite: bool) -> None:
    """Move a bundle, and the backbones beside it, into a folder of models."""
    target = folder / path.name
    is_searched = folder.resolve() in [searched.resolve() for searched in model_folders()]
    same = sha256(path / MANIFEST)
    hidden = [other for other in find(path.name, MANIFEST) if other != target and sha256(other / MANIFEST) != same] if is_searched else []
    if hidden and not target.exists() and not overwrite:
        raise BundleError(
            f"{hidden[0]}: a bundle of this name is there; allow it to take its place with --overwrite, or choose another folder with --to"
        )
    if target.exists() and not (overwrite and (target / MANIFEST).is_file()):
        hint = "allow it to be replaced with --overwrite, or choose" if (target / MANIFEST).is_file() else "choose"
        raise BundleError(f"{target}: exists; {hint} another folder with --to")
    backbones = {backbone: folder / "backbones" / backbone.name for backbone in sorted((path.parent / "backbones").glob("*"))}
    for backbone, place in backbones.items():
        others = [other for kind in (BACKBONE_MANIFEST, POSE_MANIFEST) for other in find(f"backbones/{backbone.name}", kind)] if is_searched else []
        for other in (place, *others):
            if other.exists() and _essence(other) != _essence(backbone):
                raise BundleError(f"{other}: another backbone of this name is there; choose another folder with --to")
    (folder / "backbones").mkdir(exist_ok=True)
    for backbone, place in backbones.items():
        if not place.exists():
            backbone.rename(place)
    if target.exists():
        target.rename(path.parent / "old")
    path.rename(target)


def _essence(folder: Path) -> tuple[dict[str, str], BackboneManifest | None]:
    """What makes a backbone another one: its networks, and how they are used."""
    networks = {path.name: sha256(path) for path in folder.glob("*.tflite")}
    manifest = folder / BACKBONE_MANIFEST
    used = read_manifest(manifest, BackboneManifest).model_copy(update={"licence": "", "source": ""}) if manifest.is_file() else None
    return networks, used
