import json
import re
from base64 import b64decode
from dataclasses import replace

import av
import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="needs the train extra")

from streamvc.training.comparison.cost import BackboneSize, Cost
from streamvc.training.comparison.html import page
from streamvc.training.comparison.results import COLUMNS, Comparison, ComparisonRow, ScoreTimeline, TrainedRecipe, as_json, cells, markdown
from streamvc.training.report import Spread

LABELS = ("cross", "jump")
TRAINED = TrainedRecipe(
    key="0",
    labels=LABELS,
    clip_top1=Spread(0.75, 0.25),
    window_top1=Spread(0.5, 0.0),
    num_clips=8,
    first_right_s=0.6,
    delay_s=None,
    confusion=((3, 1), (1, 3)),
    losses=(0.9, 0.7, 0.6),
    validation_losses=(0.8, 0.6, 0.7),
    timelines=tuple(ScoreTimeline(clip=f"{label}.mp4", label=label, timestamps=(0.4, 0.6), scores=((0.5, 0.5), (0.7, 0.3))) for label in LABELS),
    num_parameters=25_730,
    train_s=12.3,
)
COST = Cost(head_bytes=765_000, backbone=BackboneSize(3_350_000, 6_761_672), extractor_ms=6.31, head_ms=0.305, memory_mb=34.8)
GRU = ComparisonRow("gru", "step", "efficientnet-lite0-f16", 5.0, TRAINED, COST)
C3D = ComparisonRow("c3d", "clip", "colour:112", 5.0, TRAINED, replace(COST, backbone=None))
MAXMIN = ComparisonRow("maxmin", "window", "vgg16-fc2", 5.0, error="backbone 'vgg16-fc2' <was> not found")
COMPARISON = Comparison("data", 8, 4, 2, 0, (GRU, C3D, MAXMIN))


def test_a_row_has_a_cell_for_each_column_and_a_dash_where_nothing_is_known() -> None:
    gru, c3d, maxmin = (dict(zip(COLUMNS, cells(row), strict=True)) for row in COMPARISON.rows)
    assert (gru["clips right"], gru["head parameters"], gru["head KB"], gru["head ms/frame"]) == ("0.750 ± 0.250", "25,730", "765", "0.305")
    assert (gru["backbone parameters"], c3d["backbone parameters"]) == ("3,350,000", "-")
    assert c3d["head KB"] == gru["head KB"]
    assert set(maxmin.values()) == {"maxmin", "window", "vgg16-fc2", "5", "-"}
    never_right = replace(GRU, trained=TRAINED.model_copy(update={"first_right_s": None}))
    assert dict(zip(COLUMNS, cells(never_right), strict=True))["first right after s"] == "-"


def test_markdown_has_the_table_and_the_reason_of_an_empty_row() -> None:
    text = markdown(COMPARISON)
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 5
    assert len({row.count("|") for row in rows}) == 1
    assert "- `maxmin`: backbone 'vgg16-fc2' <was> not found" in text
    assert "2 folds by group (seed 0)" in text


def test_json_has_the_figures_and_null_for_what_is_not_known() -> None:
    gru, c3d, maxmin = json.loads(json.dumps(as_json(COMPARISON)))["recipes"]
    assert gru["clip_top1"] == {"mean": 0.75, "deviation": 0.25}
    assert gru["confusion"] == [[3, 1], [1, 3]]
    assert (gru["backbone_bytes"], c3d["backbone_bytes"], gru["head_ms"], gru["error"]) == (6_761_672, 0, 0.305, None)
    assert "clip_top1" not in maxmin
    assert "not found" in maxmin["error"]


def test_what_is_kept_on_disk_is_read_as_it_was_written() -> None:
    assert TrainedRecipe.model_validate_json(TRAINED.model_dump_json()) == TRAINED


def test_the_page_needs_nothing_else_and_has_pictures_for_light_and_dark() -> None:
    html = page(COMPARISON)
    assert not re.search(r"""(src|srcset|href)=["'](?!data:|#)""", html)
    assert "<script" not in html
    assert "&lt;was&gt; not found" in html
    pictures = [decoded(encoded) for encoded in re.findall(r'"data:image/png;base64,([^"]+)"', html)]
    assert len(pictures) == 2 * (1 + 2 * 3)  # accuracy against cost; confusion, curves and timeline of two recipes
    for dark, light in zip(pictures[::2], pictures[1::2], strict=True):
        assert dark.shape == light.shape
        assert light[..., 3].min() == dark[..., 3].min() == 0  # the page shines through
        assert has_ink(light, (0x22, 0x26, 0x2B))
        assert has_ink(dark, (0xE6, 0xE6, 0xE6))


def has_ink(picture: np.ndarray, colour: tuple[int, int, int]) -> bool:
    return bool((picture == (*colour, 255)).all(axis=2).any())


def test_a_page_without_a_single_success_tells_why() -> None:
    html = page(replace(COMPARISON, rows=(MAXMIN,)))
    assert "Not measured: backbone" in html
    assert "<img" not in html


def decoded(encoded: str) -> np.ndarray:
    codec = av.CodecContext.create("png", "r")
    frame = codec.decode(av.Packet(b64decode(encoded)))[0]
    return np.asarray(frame.to_ndarray(format="rgba"))
