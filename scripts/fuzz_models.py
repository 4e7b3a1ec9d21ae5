"""Inputs for `fuzz.py`: networks, packed bundles and manifests."""

import hashlib
import io
import json
import random
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from fuzz import Kind, mutated
from streamvc.errors import BundleError
from streamvc.inference import packing
from streamvc.inference.bundle import load_bundle
from streamvc.inference.composite import find_pose
from streamvc.inference.folders import PACKAGE
from streamvc.inference.runtime import open_model
from streamvc.session import Session

MODELS = PACKAGE.parent / "models"
NUMBERS = (0, -0.0, -1, 1, 2, 1e-300, 1e300, 5e-324, 2**31, 2**63, 10**400, float("nan"), float("inf"), float("-inf"), 0.5, 4096, 1 << 24)
TEXTS = ("", " ", "nothing", "..", "../x", "/etc/passwd", "a\nb", "\x1b[2J", "\u202e", "\ud800", "\0", "x" * 10_000, "blazepose", "0" * 64, "é")
PICTURES = [np.full((48, 64, 3), value, np.uint8) for value in (0, 255, 90)]


def networks() -> Kind:
    """`.tflite` files with other bytes; more often where they are structure, and not weights."""
    seeds = [(MODELS / path).read_bytes() for path in ("figure/step.tflite", "exercise-fast/project.tflite", "exercise-fast/network.tflite")]

    def make(rng: random.Random) -> bytes:
        content = rng.choice(seeds)
        span = rng.choice((200, 4000, len(content)))
        if rng.random() < 0.5:
            return content[:-span] + mutated(content[-span:], rng, seeds)
        return mutated(content[:span], rng, seeds) + content[span:]

    def use(path: Path) -> None:
        model = open_model(path)
        for number in range(3):
            model.run(partial(np.copyto, src=number))

    return Kind(make, use, "network.tflite")


def bundles() -> Kind:
    """Packed bundles: other bytes of the file, or other entries in a sound one, with the right hashes where they are in the manifest."""
    seeds = [_packed("figure"), _packed("exercise-fast")]

    def make(rng: random.Random) -> bytes:
        content = rng.choice(seeds)
        return mutated(content, rng, seeds) if rng.random() < 0.3 else _repacked(content, rng)

    def use(path: Path) -> None:
        with tempfile.TemporaryDirectory() as folder:
            try:
                bundle = packing.install(path, Path(folder, "models"))
            except BundleError:
                left = sorted(left.name for left in Path(folder).rglob("*") if left.name != "models")
                assert not left, f"what was refused has left {left}"
                raise
            Session(bundle.path).step(PICTURES[0], 0.0)

    return Kind(make, use, "bundle.zip")


def manifests() -> Kind:
    """`model.json` with other values, fields and bytes, of bundles whose networks are sound."""
    names = ("figure", "exercise-fast", "fall")
    seeds = {name: (MODELS / name / "model.json").read_bytes() for name in names}

    def make(rng: random.Random) -> bytes:
        content = seeds[rng.choice(names)]
        if rng.random() < 0.2:
            return mutated(content, rng, list(seeds.values()))
        return json.dumps(_changed(json.loads(content), rng)).encode()

    def use(path: Path) -> None:
        content = path.read_bytes()
        folder = _folder(next((name for name in names if f'"{name}"'.encode() in content[:200]), "figure"))
        (folder / "model.json").write_bytes(content)
        session = Session(folder)
        for number, picture in enumerate(PICTURES * 4):
            session.step(picture, number / session.rates_hz[0])
        session.close()

    return Kind(make, use, "model.json")


@cache
def _folder(name: str) -> Path:
    """A copy of a bundle, whose manifest may be replaced."""
    return Path(shutil.copytree(MODELS / name, Path(tempfile.mkdtemp(prefix="streamvc-fuzz-"), "models", name)))


def _packed(name: str) -> bytes:
    """A packed bundle, with the small one of its backbones alone: the others are found where they are."""
    bundle = load_bundle(MODELS / name)
    files = {f"{name}/{file}": bundle.path / file for file in ("model.json", *bundle.manifest.files)}
    if bundle.manifest.pose:
        files |= {f"backbones/blazepose/{path.name}": path for path in find_pose(bundle.manifest.pose).iterdir()}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for entry, path in files.items():
            archive.write(path, entry)
    return out.getvalue()


def _repacked(content: bytes, rng: random.Random) -> bytes:
    """A sound file with other entries."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    name = rng.choice(sorted(files))
    match rng.randrange(6):
        case 0:
            files[name] = mutated(files[name], rng, list(files.values()))
        case 1:
            files[_other_name(name, rng)] = files.pop(name)
        case 2:
            files[_other_name(name, rng)] = files[name]
        case 3:
            del files[name]
        case _:
            files[name] = mutated(files[name], rng, list(files.values()))
            _hash_anew(files)
    if rng.random() < 0.2:
        _change_manifest(files, lambda manifest: _changed(manifest, rng))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for entry, data in files.items():
            archive.writestr(entry, data, rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)))
    return out.getvalue()


def _hash_anew(files: dict[str, bytes]) -> None:
    """Let the manifest have the hashes of what is there."""

    def hashed(manifest: Any) -> Any:
        own = {name.rpartition("/")[2]: data for name, data in files.items() if not name.startswith("backbones/")}
        manifest["files"] = {name: hashlib.sha256(own[name]).hexdigest() if name in own else value for name, value in manifest["files"].items()}
        return manifest

    _change_manifest(files, hashed)


def _change_manifest(files: dict[str, bytes], change: Callable[[Any], Any]) -> None:
    for name in files:
        if name.endswith("/model.json"):
            try:
                files[name] = json.dumps(change(json.loads(files[name]))).encode()
            except (ValueError, KeyError, TypeError, AttributeError):  # it was changed itself
                return


def _other_name(name: str, rng: random.Random) -> str:
    folder, _, file = name.rpartition("/")
    inside = (f"{folder}/{rng.choice(TEXTS)}", f"{folder}/{folder}/{file}", f"{name}/x", f"{folder}//{file}")
    choices = (*inside, f"{rng.choice(TEXTS)}/{file}", f"../{name}", f"/{name}")
    return rng.choice(choices).replace("\ud800", "?").replace("\0", "?")[:60_000] or "x"


def _changed(value: Any, rng: random.Random) -> Any:
    """A JSON value with one or two other values, fields or items somewhere in it."""
    for _ in range(rng.choice((1, 1, 2))):
        value = _changed_once(value, rng)
    return value


def _changed_once(value: Any, rng: random.Random) -> Any:
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = rng.choice(sorted(value))
        match rng.randrange(12):
            case 0:
                return {other: part for other, part in value.items() if other != key}
            case 1:
                return value | {rng.choice((*TEXTS[2:4], key + "s")): value[key]}
            case _:
                return value | {key: _changed_once(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.8:
        place = rng.randrange(len(value))
        match rng.randrange(6):
            case 0:
                return value[:place] + value[place + 1 :]
            case 1:
                return value + value * rng.choice((1, 100))
            case _:
                return [*value[:place], _changed_once(value[place], rng), *value[place + 1 :]]
    if type(value) in (int, float) and rng.random() < 0.8:
        return rng.choice((*NUMBERS, value * 2, value + 1, -value, value * 1000))
    return rng.choice((*NUMBERS, *TEXTS, None, True, [], {}, [[]], value))
