"""The names of extractors."""

import re
from pathlib import Path

from streamvc.errors import BundleError
from streamvc.inference import bundle
from streamvc.inference.backbone import MANIFEST, Backbone, Extractor, find_backbone
from streamvc.inference.composite import HANDCRAFTED_SIZES, CompositeExtractor, LocatedPart, find_pose, handcrafted_part
from streamvc.inference.folders import find
from streamvc.inference.manifest import FOLLOWING, HANDCRAFTED, PERSONAL, BackboneManifest, BackboneReference, FeaturePart, read_manifest
from streamvc.inference.people.extractor import PeopleExtractor, person_part
from streamvc.inference.people.movenet import LIGHTNING_INT8, MoveNetManifest, find_movenet
from streamvc.inference.people.movenet import MANIFEST as MOVENET_MANIFEST
from streamvc.inference.pictures import PictureExtractor

PICTURES = re.compile(r"(colour|flow|colour\+flow):([1-9]\d{1,3})(?::(whole|center))?")
NUMBER = re.compile(rf"(?P<kind>{'|'.join(HANDCRAFTED)})(?:(?<=pose)/(?P<every>[2-9]))?")
PEOPLE = re.compile(rf"(?P<network>.+):(?P<kind>{'|'.join(PERSONAL)})")
PART = re.compile(r"(?P<backbone>.+?)(?::(?P<crop>whole|center|person|movement|foreground))?(?::(?P<kind>difference|greys))?")


def open_extractor(name: str, rate_hz: float | None = None) -> Extractor:
    """An extractor by name.

    Args:
        name: One of these:

            - A backbone's name (`efficientnet-lite0-f16`) or folder. Behind it stands where in a frame it looks (`:whole`, unless its manifest says
              otherwise; `:center` for the largest square in the middle; `:person`, `:movement` and `:foreground` for a square that follows the
              person, what moves most, or what stands out from the background of a camera that stands still). Behind that stands `:difference`
              for what changed there since the frame before, or `:greys` for this frame and the two before it in one picture.
            - `pose`: numbers of the person's pose; `pose/2`: looked for in every second tick only, and held until the next. `foreground`: numbers of
              what stands out from the background. `flow`: numbers of the optical flow, of how it moves in the frame.
            - `movenet`: numbers of the posture and movement of the person whom MoveNet Lightning (int8) follows; `movenet-lightning` is the same in
              float16.
            - `movenet-multipose-int8:fall`: numbers of each person whom this network finds, who tell a fall from sitting down.
            - `movenet-multipose-int8:posture`: numbers of how each of them holds themselves and moves; `:fall` and `:posture` of one network may be
              joined, and share its pass.
            - Several of these, joined by `+`: `pose+efficientnet-lite0-f16:person`. Those of each person are joined with none but their like.
            - What is in pictures and how large they are: `colour:64`, `flow:112`, `colour+flow:64`.
            - The folder of a bundle: the one that the bundle was trained on.
        rate_hz: Ticks per second; for those that follow people, who need it.

    Raises:
        BundleError: There is none, or it is damaged.
        ValueError: It needs a `rate_hz`.
    """
    if found := PICTURES.fullmatch(name):
        kind, size_px, crop = found.groups()
        return PictureExtractor(kind, int(size_px), crop or "whole")  # type: ignore[arg-type]  # the pattern has checked them
    if (Path(name) / bundle.MANIFEST).is_file():
        return bundle.load_bundle(Path(name)).open_extractor()
    sources = [_source(part) for part in parts_of(name)]
    first = sources[0]
    personal = [source.part for source in sources if source.part.kind in PERSONAL]
    if personal and first.folder:
        if len(personal) < len(sources) or len({part.backbone for part in personal}) > 1:
            raise BundleError(f"{name}: features of each person are joined with none but others of the same network")
        if rate_hz is None:
            raise ValueError(f"{name} needs a rate_hz")
        return PeopleExtractor.open(personal, first.folder, rate_hz)
    if len(sources) == 1 and first.folder and first.part.input and first.part.kind == "picture" and first.part.input.crop not in FOLLOWING:
        return Backbone.open(first.folder, crop=first.part.input.crop)
    if twice := [source.part.name for number, source in enumerate(sources) if source in sources[:number]]:
        raise BundleError(f"{name}: {twice[0]} is there twice")
    return CompositeExtractor(sources, find_pose() if any(source.part.needs_pose for source in sources) else None)


def parts_of(name: str) -> list[str]:
    """The names of the parts. A folder that has a `+` in its path stands by itself."""
    whole = any((Path(_pattern(name)["backbone"]) / manifest).is_file() for manifest in (MANIFEST, MOVENET_MANIFEST))
    return [name] if whole else name.split("+")


def sees_pictures(name: str) -> bool:
    """Whether an extractor of this name gives the pictures themselves."""
    return bool(PICTURES.fullmatch(name))


def _source(name: str) -> LocatedPart:
    """A part by name."""
    if numbers := NUMBER.fullmatch(name):
        return LocatedPart(handcrafted_part(numbers["kind"], int(numbers["every"] or 1)), None)  # type: ignore[arg-type]  # the pattern has checked it
    if name == "movenet" or (Path(name) / MOVENET_MANIFEST).is_file() or any(find(f"backbones/{name}", MOVENET_MANIFEST)):
        folder, movenet = _movenet(name)
        reference = BackboneReference(name=movenet.name, sha256=movenet.sha256)
        return LocatedPart(FeaturePart(kind="movenet", backbone=reference, input=None, feature_size=HANDCRAFTED_SIZES["movenet"]), folder)
    if people := PEOPLE.fullmatch(name):
        folder, movenet = _movenet(people["network"])
        return LocatedPart(person_part(people["kind"], movenet), folder)  # type: ignore[arg-type]  # the pattern has checked it
    if sees_pictures(name):
        raise BundleError(f"{name}: pictures cannot be joined with features")
    found = _pattern(name)
    folder = _folder(found["backbone"])
    manifest = read_manifest(folder / MANIFEST, BackboneManifest)
    part = FeaturePart(
        kind=found["kind"] or "picture",  # type: ignore[arg-type]  # the pattern has checked it
        backbone=BackboneReference(name=manifest.name, sha256=manifest.sha256),
        input=manifest.input.model_copy(update={"crop": found["crop"] or manifest.input.crop}),
        feature_size=manifest.feature_size,
    )
    return LocatedPart(part, folder)


def _movenet(name: str) -> tuple[Path, MoveNetManifest]:
    folder = Path(name) if (Path(name) / MOVENET_MANIFEST).is_file() else find_movenet(LIGHTNING_INT8 if name == "movenet" else name)
    return folder, read_manifest(folder / MOVENET_MANIFEST, MoveNetManifest)


def _folder(backbone: str) -> Path:
    path = Path(backbone)
    if (path / MANIFEST).is_file():
        return path
    if ":" in path.name:
        raise BundleError(
            f"{backbone}: a frame can be cut as :whole, :center, :person, :movement or :foreground, and :difference or :greys stands behind that"
        )
    return find_backbone(backbone)


def _pattern(name: str) -> re.Match[str]:
    found = PART.fullmatch(name)
    if not found:
        raise BundleError(f"{name!r} is no name of an extractor; between two + stands a part, such as pose or efficientnet-lite0-f16:person")
    return found
