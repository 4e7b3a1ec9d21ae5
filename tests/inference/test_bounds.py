"""Every number of a manifest has a range, and no text of one holds what a terminal obeys."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamvc.errors import BundleError
from streamvc.inference.backbone import find_backbone
from streamvc.inference.bundle import load_bundle
from streamvc.inference.manifest import BackboneManifest, BundleManifest, Manifest, read_manifest
from streamvc.text import is_plain, printable, printable_json
from tests.inference.settings import BACKBONE

Steps = tuple[str | int, ...]


def manifests() -> list[tuple[type[Manifest], dict[str, Any]]]:
    """Those of all kinds and forms, with every field in them."""
    full = {"temperature": 1.0, "smoothing_s": 0.3, "feature_map": None}
    figure, fall = (json.loads((load_bundle(name).path / "model.json").read_text()) | full for name in ("figure", "fall"))
    clip = figure | {"form": "clip", "backbone": None, "pictures": "colour", "feature_map": [8, 8, 3], "feature_size": 192, "state_size": 0}
    clip["files"] = {"network.tflite": "0" * 64, "CARD.md": "0" * 64}
    backbone = json.loads((find_backbone(BACKBONE) / "backbone.json").read_text()) | {"num_frames": 2, "feature_map": [1, 1, 1280]}
    return [(BundleManifest, figure), (BundleManifest, fall), (BundleManifest, clip), (BackboneManifest, backbone)]


def leaves(value: object, steps: Steps = ()) -> Iterator[tuple[Steps, object]]:
    if isinstance(value, dict | list):
        for step, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(part, (*steps, step))
    else:
        yield steps, value


def replaced(value: Any, steps: Steps, new: object) -> Any:
    if not steps:
        return new
    copy = value.copy()
    copy[steps[0]] = replaced(copy[steps[0]], steps[1:], new)
    return copy


def refused(tmp_path: Path, kind: type[Manifest], content: object) -> str | None:
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(content))
    try:
        read_manifest(path, kind)
    except BundleError as error:
        return str(error)
    return None


def numbers() -> list[tuple[type[Manifest], dict[str, Any], Steps]]:
    found = [(kind, content, steps) for kind, content in manifests() for steps, value in leaves(content) if type(value) in (int, float)]
    assert len(found) > 60
    return found


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf"), -1e9, 1e308, 10**9, 2**63, 10**400])
def test_every_number_of_a_manifest_has_a_range(tmp_path: Path, number: float) -> None:
    for kind, content, _ in numbers():
        assert refused(tmp_path, kind, content) is None
    accepted = [steps for kind, content, steps in numbers() if refused(tmp_path, kind, replaced(content, steps, number)) is None]
    assert accepted == []


@pytest.mark.parametrize("field", [("temperature",), ("rate_hz",), ("input", "scale")])
@pytest.mark.parametrize("number", [1e-300, 0.0, -0.0, 5e-324])
def test_what_is_divided_by_is_never_next_to_nothing(tmp_path: Path, field: Steps, number: float) -> None:
    kind, figure = manifests()[0]
    assert str(field[-1]) in (refused(tmp_path, kind, replaced(figure, field, number)) or "")


def test_a_head_keeps_no_more_of_its_window_than_fits_in_memory(tmp_path: Path) -> None:
    kind, clip = manifests()[2]
    large = clip | {"feature_size": 2048 * 2048 * 3, "feature_map": [2048, 2048, 3], "window": 100}
    assert "window (100) is too long" in (refused(tmp_path, kind, large) or "")


@pytest.mark.parametrize(
    "text",
    ["\x1b[2J", "a\nb", "a\r", "\x07", "\x9b31m", "\u202eabc", "\u2066a", "a\u2028b", "\x00", "\x7f", "a\tb", "\ufeff"],
    ids=lambda text: text.encode("unicode_escape").decode(),
)
def test_no_text_of_a_manifest_holds_what_a_terminal_obeys(tmp_path: Path, text: str) -> None:
    for kind, content in manifests():
        for steps, value in leaves(content):
            if isinstance(value, str):
                message = refused(tmp_path, kind, replaced(content, steps, text))
                assert message, steps
                assert is_plain(message), steps
    figure = manifests()[0][1]
    for field in ("labels", "files"):
        found = refused(tmp_path, BundleManifest, figure | {"thresholds": {"labels": {text: {}}}, field: figure[field]})
        assert found
        assert is_plain(found)


@pytest.mark.parametrize("label", ["Fallen", "Stürzt", "倒れる", "می\u200cخواهم", "👩\u200d🚒", "push-ups (fast)"])
def test_labels_may_be_words_of_any_language(tmp_path: Path, label: str) -> None:
    kind, figure = manifests()[0]
    assert refused(tmp_path, kind, figure | {"labels": [label, "nothing"]}) is None


def test_a_manifest_without_end_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    with path.open("wb") as file:
        file.truncate(10 * 2**30)
    with pytest.raises(BundleError, match="longer than any manifest"):
        read_manifest(path, BundleManifest)
    path.write_text("[" * 500_000)
    with pytest.raises(BundleError, match=r"model\.json"):
        read_manifest(path, BundleManifest)


@given(st.text(), st.booleans())
def test_what_is_printable_is_plain_and_what_is_plain_stays_as_it_is(text: str, lines: bool) -> None:
    shown = printable(text, lines=lines)
    assert is_plain(shown.replace("\n", "").replace("\t", "") if lines else shown)
    assert printable(shown, lines=lines) == shown
    assert not is_plain(text) or shown == text


@given(st.dictionaries(st.text(), st.text()))
def test_json_that_is_printable_is_plain_and_means_the_same(value: dict[str, str]) -> None:
    shown = printable_json(json.dumps(value, ensure_ascii=False))
    assert is_plain(shown)
    assert json.loads(shown) == value
