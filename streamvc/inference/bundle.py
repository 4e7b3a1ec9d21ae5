"""Bundles: folders with a trained head and all that a caller needs to know of it."""

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from pydantic import ValidationError

from streamvc.errors import BundleError
from streamvc.events import Decision
from streamvc.inference.backbone import Backbone, Extractor, find_backbone
from streamvc.inference.composite import HANDCRAFTED_SIZES, CompositeExtractor, LocatedPart, find_pose
from streamvc.inference.folders import check_sha256, find, model_folders, sha256
from streamvc.inference.head import Head, open_head
from streamvc.inference.manifest import (
    PERSONAL,
    UNFRAMED,
    BackboneManifest,
    BackboneReference,
    BundleManifest,
    BundleSettings,
    FeaturePart,
    ImageInput,
    manifest_json,
    read_manifest,
    refusal,
)
from streamvc.inference.people.extractor import KINDS, PeopleExtractor
from streamvc.inference.people.movenet import find_movenet
from streamvc.inference.pictures import PictureExtractor, picture_shape
from streamvc.inference.runtime import Model, Opener, open_model
from streamvc.text import printable

MANIFEST = "model.json"
CARD = "CARD.md"
MOST_CARD_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle on disk whose hashes were found right. `sha256` is that of its manifest, and so stands for the whole."""

    path: Path
    manifest: BundleManifest
    sha256: str

    def decision(self, label: str) -> Decision:
        """The settings that the bundle's author found for a label."""
        thresholds = self.manifest.thresholds
        threshold = thresholds.labels.get(label, thresholds.default)
        return Decision(threshold.enter, threshold.leave, threshold.min_s, threshold.cooldown_s, self.manifest.smoothing_s)

    def open_extractor(self, runtime: str | None = None, threads: int = 1, *, opener: Opener | None = None) -> Extractor:
        """Load what makes its features: the backbone it was trained on, or all its parts; or what gives the pictures, where it sees these themselves.

        `opener` opens the files, for those who share them.

        Raises:
            BundleError: It is missing, damaged or another one.
            InferenceError: The runtime cannot run it.
        """
        manifest = self.manifest
        if manifest.subject == "person":
            folder = self.networks()[0].parent
            opener = opener or open_model
            return PeopleExtractor.open(manifest.parts, folder, manifest.rate_hz, runtime=runtime, threads=threads, opener=opener)
        if manifest.input is None:
            return CompositeExtractor(_sources(self.path, manifest), _pose(self.path, manifest), runtime, threads, opener=opener)
        if manifest.pictures:
            return PictureExtractor(manifest.pictures, manifest.input.size_px, manifest.input.crop)
        folder, crop = self.find_backbone(), manifest.input.crop
        return Backbone.open(folder, crop=crop, runtime=runtime, threads=threads, opener=opener or open_model)

    def find_backbone(self) -> Path:
        """The folder of the backbone it was trained on.

        Raises:
            BundleError: It is missing, or the features are not those of one backbone.
        """
        if self.manifest.backbone is None:
            raise BundleError(f"{self.path}: is not made for one backbone, but for {self.manifest.extractor}")
        return _find_backbone(self.path, self.manifest.backbone)

    def networks(self) -> tuple[Path, ...]:
        """The files of the networks that a frame passes, once for each time; without that which finds the person, who is tracked thereafter.

        Raises:
            BundleError: One of them is missing.
        """
        pose = _pose(self.path, self.manifest)
        backbone = self.manifest.backbone
        passed = [_find_backbone(self.path, backbone) / "backbone.tflite"] if backbone else []
        passed += [source.network for source in _sources(self.path, self.manifest) if source.network]
        if self.manifest.subject == "person":
            passed = passed[:1]  # all its parts share one
        return (*([pose / "landmark.tflite"] if pose else []), *passed)

    def find_backbones(self) -> tuple[Path, ...]:
        """The folders of all backbones that its features are made by, each once.

        Raises:
            BundleError: One of them is missing.
        """
        return tuple(dict.fromkeys(network.parent for network in self.networks()))

    def open_head(self, runtime: str | None = None, threads: int = 1, *, opener: Opener | None = None) -> Head:
        """Load its head; `opener` opens the files, for those who share them.

        Raises:
            BundleError: Shapes do not agree with the manifest.
            InferenceError: The runtime cannot run it.
        """

        def load(name: str) -> Model | None:
            return (opener or open_model)(self.path / name, runtime, threads) if name in self.manifest.files else None

        try:
            return open_head(self.manifest, load)
        except BundleError as error:
            raise BundleError(f"{self.path}: {error}") from error


def load_bundle(name_or_path: str | Path) -> Bundle:
    """Find a bundle by name or path, and check its fields, its hashes and that its backbone is there.

    Raises:
        BundleError: It was not found, or is damaged; names the file and the field.
    """
    path = _find(name_or_path)
    manifest = read_manifest(path / MANIFEST, BundleManifest)
    for name, expected in manifest.files.items():
        check_sha256(path / name, expected)
    _check_backbones(path, manifest)
    return Bundle(path, manifest, sha256(path / MANIFEST))


def check_bundle(name_or_path: str | Path, runtime: str | None = None) -> Bundle:
    """Check all that can be checked of a bundle: what `load_bundle` does, the backbone's hash, the shapes of all tensors, and the card's text.

    Raises:
        BundleError: Something is wrong with it.
        InferenceError: A runtime cannot run it.
    """
    bundle = load_bundle(name_or_path)
    bundle.open_extractor(runtime)
    bundle.open_head(runtime)
    _check_card(bundle.path / CARD)
    return bundle


def activities(name_or_path: str | Path) -> tuple[str, ...]:
    """The labels of a bundle that become events: all but the background.

    Raises:
        BundleError: It was not found, or its manifest is damaged.
    """
    manifest = read_manifest(_find(name_or_path) / MANIFEST, BundleManifest)
    return tuple(label for label in manifest.labels if label != manifest.background)


def _check_card(path: Path) -> None:
    content = path.read_bytes()
    try:
        text = content.decode().replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise BundleError(f"{path}: is no UTF-8 text") from error
    if len(content) > MOST_CARD_BYTES or printable(text, lines=True) != text:
        raise BundleError(f"{path}: a card is text of up to {MOST_CARD_BYTES >> 20} MB without control characters, and this is not")


def list_bundles() -> list[str]:
    """The names of all bundles that `load_bundle` finds by name; damaged ones too."""
    return sorted({manifest.parent.name for folder in model_folders() for manifest in folder.glob(f"*/{MANIFEST}")})


def write_bundle(path: Path, settings: BundleSettings, files: Mapping[str, bytes]) -> Bundle:
    """Write a bundle, in one move: at no time is there half of one. A bundle that was there before is replaced.

    Raises:
        BundleError: `path` is something else than a bundle, cannot be written, or the bundle would not be one.
    """
    if path.exists() and not (path / MANIFEST).is_file():
        raise BundleError(f"{path}: exists and is not a bundle; choose another folder")
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    try:
        manifest = BundleManifest(**settings.model_dump(by_alias=True), files=hashes)
    except ValidationError as error:
        raise refusal(path, error) from error
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as scratch:
            new, old = Path(scratch, "new"), Path(scratch, "old")
            new.mkdir()
            for name, content in {**files, MANIFEST: manifest_json(manifest)}.items():
                (new / name).write_bytes(content)
            if path.exists():
                path.rename(old)
            new.rename(path)
    except OSError as error:
        raise BundleError(f"{path}: cannot be written: {error.strerror}") from error
    return load_bundle(path)


def _check_backbones(path: Path, manifest: BundleManifest) -> None:
    """Refuse a bundle whose fields are not those of its backbones."""
    if manifest.backbone and manifest.input:
        backbone = _check_backbone(path, "", manifest.backbone, manifest.input, manifest.feature_size)
        if manifest.feature_map != backbone.feature_map:
            raise BundleError(f"{path / MANIFEST}: feature_map is not that of backbone {backbone.name}")
    if manifest.pictures and manifest.input:
        shape = picture_shape(manifest.pictures, manifest.input.size_px)
        if manifest.feature_map != shape:
            raise BundleError(f"{path / MANIFEST}: feature_map is not that of its pictures, {shape}")
    for number, part in enumerate(manifest.parts):
        if part.backbone and part.input:
            _check_backbone(path, f"parts.{number}.", part.backbone, part.input, part.feature_size)
        elif part.feature_size != (size := KINDS[part.kind][1] if part.kind in PERSONAL else HANDCRAFTED_SIZES[part.kind]):
            raise BundleError(f"{path / MANIFEST}: parts.{number}.feature_size is not that of {part.kind}, {size}")
        _find_network(path, part)
    _pose(path, manifest)


def _check_backbone(path: Path, prefix: str, reference: BackboneReference, spec: ImageInput, feature_size: int) -> BackboneManifest:
    backbone = read_manifest(_find_backbone(path, reference) / "backbone.json", BackboneManifest)
    if backbone.input.model_copy(update={"crop": spec.crop}) != spec:
        raise BundleError(f"{path / MANIFEST}: {prefix}input is not that of backbone {backbone.name}")
    if backbone.feature_size != feature_size:
        raise BundleError(f"{path / MANIFEST}: {prefix}feature_size is not that of backbone {backbone.name}")
    return backbone


def _find_backbone(path: Path, reference: BackboneReference) -> Path:
    return find_backbone(reference.name, sha256=reference.sha256, beside=path.parent)


def _pose(path: Path, manifest: BundleManifest) -> Path | None:
    return find_pose(manifest.pose, beside=path.parent) if manifest.pose else None


def _sources(path: Path, manifest: BundleManifest) -> list[LocatedPart]:
    return [LocatedPart(part, _find_network(path, part)) for part in manifest.parts]


def _find_network(path: Path, part: FeaturePart) -> Path | None:
    if part.backbone is None:
        return None
    if part.kind in UNFRAMED:
        return find_movenet(part.backbone.name, sha256=part.backbone.sha256, beside=path.parent)
    return _find_backbone(path, part.backbone)


def _find(name_or_path: str | Path) -> Path:
    path = Path(name_or_path)
    if (path / MANIFEST).is_file():
        return path
    name = str(name_or_path)
    if len(path.parts) == 1 and (found := next(find(name, MANIFEST), None)):
        return found
    if path.exists() or len(path.parts) > 1:
        raise BundleError(f"{path}: not a bundle: it has no {MANIFEST}")
    names = list_bundles()
    close = get_close_matches(name, names, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    raise BundleError(f"no bundle is called {name!r}: {hint}there are: {', '.join(names) or 'none'}")
