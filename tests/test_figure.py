"""The rendered figure: its body stays a body, its pictures are what geometry says, and its stories show what they claim."""

import csv
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from figure import ACTIVITIES, BACKGROUND, IDLE, render_clip, render_story, timeline
from figure.body import ANKLE, FOREARM, SHANK, THIGH, UPPER_ARM, Build, Skeleton, stand_up
from figure.geometry import Solid
from figure.manner import random_manner
from figure.raster import FAR, View, draw, extent
from figure.stage import Stage, pose_at

SMALL = (160, 120)
SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "render_figure.py"
STORY = (("enter", 2.5), ("stand", 1.5), *((name, 3.0) for name in ACTIVITIES), ("stand", 1.0), ("leave", 2.5))
FRONT = View(np.zeros(3), np.array([[1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, 1.0]]), 0.0, np.zeros(2), scale=100.0)


def skeleton_at(t: float, seed: int) -> Skeleton:
    acts, rng = timeline(STORY), np.random.default_rng(seed)
    manners = [random_manner(rng, phase=0.0) for _ in acts]
    pose = pose_at(t, acts, manners, Stage(np.zeros(2), 20.0, 3.0), height=1.75)
    assert pose is not None
    return stand_up(pose, Build())


def joints(skeleton: Skeleton) -> np.ndarray:
    limbs = (*skeleton.arms, *skeleton.legs)
    return np.array([skeleton.head.origin, *(joint for limb in limbs for joint in (limb.root, limb.middle, limb.end))])


class TestBody:
    @given(t=st.floats(0.0, timeline(STORY)[-1].end_s - 0.1), seed=st.integers(0, 99))
    @settings(max_examples=150, deadline=None)
    def test_bones_keep_their_length_and_feet_stay_above_the_floor(self, t: float, seed: int) -> None:
        skeleton = skeleton_at(t, seed)
        for limbs, upper, lower in ((skeleton.arms, UPPER_ARM, FOREARM), (skeleton.legs, THIGH, SHANK)):
            for limb in limbs:
                assert np.linalg.norm(limb.middle - limb.root) == pytest.approx(upper, abs=1e-6)
                assert np.linalg.norm(limb.end - limb.middle) == pytest.approx(lower, abs=2e-3)
        assert all(leg.end[1] > ANKLE - 0.01 for leg in skeleton.legs)
        assert all(leg.middle[1] > 0.02 for leg in skeleton.legs)

    def test_it_moves_without_jumps_within_and_between_acts(self) -> None:
        steps = [joints(skeleton_at(t, seed=3)) for t in np.arange(0.0, timeline(STORY)[-1].end_s - 0.05, 0.02)]
        furthest = max(float(np.linalg.norm(after - before, axis=1).max()) for before, after in pairwise(steps))
        assert furthest < 0.15  # body heights in 20 ms; a punch takes 0.09, and a hand on the way between two activities a little more

    def test_activities_are_what_their_names_say(self) -> None:
        acts = {act.name: act for act in timeline(STORY)}

        def during(name: str) -> list[Skeleton]:
            return [skeleton_at(t, seed=5) for t in np.arange(acts[name].start_s + 0.6, acts[name].end_s - 0.1, 0.05)]

        def hips(skeletons: list[Skeleton]) -> np.ndarray:
            return np.array([skeleton.pelvis.origin[1] for skeleton in skeletons])

        assert hips(during("Squat")).min() < 0.36 < 0.50 < hips(during("Squat")).max()
        feet = np.array([abs(s.legs[0].end - s.legs[1].end) for s in during("Lunge")])
        assert np.linalg.norm(feet, axis=1).max() > 0.3
        raised = np.array([[arm.end[1] > s.head.origin[1] for arm in s.arms] for s in during("JumpingJack")])
        assert raised.all(axis=1).any()
        assert (~raised).all(axis=1).any()
        waving = np.array([[arm.end[1] > s.arms[0].root[1] for arm in s.arms] for s in during("Wave")])
        assert (waving.sum(axis=1) == 1).mean() > 0.9


class TestRaster:
    @given(
        b=st.tuples(*[st.floats(-0.5, 0.5)] * 3),
        radii=st.tuples(st.floats(0.05, 0.3), st.floats(0.05, 0.3)),
        flat=st.sampled_from([1.0, 0.6]),
    )
    @settings(max_examples=40, deadline=None)
    def test_a_tapered_rod_is_the_hull_of_its_balls(self, b: tuple[float, float, float], radii: tuple[float, float], flat: float) -> None:
        axis = np.array([1.0, 0.0, 0.0]) if flat < 1 else None
        rod = Solid(0, np.zeros(3), np.array(b), *radii, flat, axis)
        window = extent([rod], FRONT)
        shares = np.linspace(0, 1, 200)
        # A flattened rod is one between stretched ends, pressed together.
        end = np.array(b) / [flat, 1.0, 1.0]
        x = (np.arange(window[0], window[2]) + 0.5) / 100 / flat
        y = -(np.arange(window[1], window[3]) + 0.5) / 100
        expected = np.full((len(y), len(x)), -np.inf)
        for share in shares:
            centre, radius = share * end, radii[0] + share * (radii[1] - radii[0])
            squared = radius**2 - (x[None, :] - centre[0]) ** 2 - (y[:, None] - centre[1]) ** 2
            expected = np.maximum(expected, np.where(squared > 0, centre[2] + np.sqrt(np.maximum(squared, 0)), -np.inf))
        surface = draw([rod], FRONT, window)
        seen = surface.depth > FAR / 2
        inside = np.isfinite(expected)
        assert (seen != inside).mean() < 0.02  # the edge of 200 balls is a little rough
        assert np.abs(surface.depth[seen & inside] / 100 - expected[seen & inside]).max() < 0.03

    def test_what_is_nearer_hides_what_is_behind(self) -> None:
        far, near = (Solid(part, np.array([0.0, 0.0, z]), np.array([0.0, 0.0, z]), 0.2, 0.2) for part, z in ((1, -1.0), (2, 1.0)))
        for order in ([far, near], [near, far]):
            surface = draw(order, FRONT, (-5, -5, 5, 5))
            assert (surface.part == 2).all()

    def test_a_hem_is_cut_straight(self) -> None:
        sleeve = Solid(0, np.zeros(3), np.array([0.5, 0.0, 0.0]), 0.1, 0.1, hem=True)
        covered = draw([sleeve], FRONT, (-20, -20, 80, 20)).depth > FAR / 2
        columns = np.nonzero(covered.any(axis=0))[0]
        assert columns.max() == 20 + 50 - 1
        assert covered[:, columns.max()].sum() == 20


class TestClips:
    def test_the_same_arguments_give_the_same_frames_and_a_seed_or_take_others(self) -> None:
        first, again, other_seed, other_take = (
            np.stack(list(render_clip("Squat", seed, 0.5, fps=4, size=SMALL, take=take))) for seed, take in ((7, 0), (7, 0), (8, 0), (7, 1))
        )
        assert first.shape == (2, 120, 160, 3)
        assert first.dtype == np.uint8
        np.testing.assert_array_equal(first, again)
        assert np.abs(first.astype(int) - other_seed).mean() > 10
        assert np.abs(first.astype(int) - other_take).mean() > 1

    def test_a_story_begins_in_an_empty_room_and_somebody_comes(self) -> None:
        frames = [
            frame.astype(int)
            for frame in render_story([("empty", 1.0), ("enter", 2.0), ("stand", 1.0), ("leave", 2.0), ("empty", 1.0)], 5, fps=2, size=SMALL)
        ]
        changed = [float((np.abs(frame - frames[0]).max(axis=2) > 40).mean()) for frame in frames]
        assert max(changed[:2]) < 0.002
        assert min(changed[6:8]) > 0.02
        assert changed[-1] < 0.002

    def test_labels_of_a_story(self) -> None:
        acts = timeline([("enter", 2.0), ("Squat", 3.0), ("stand", 1.0)])
        assert [(act.label, act.start_s, act.end_s) for act in acts] == [(BACKGROUND, 0.0, 2.0), ("Squat", 2.0, 5.0), (BACKGROUND, 5.0, 6.0)]

    def test_an_unknown_act_is_refused_with_what_there_is(self) -> None:
        with pytest.raises(ValueError, match=r"unknown act Sqat; there are Boxing, .*Squat, Wave, empty"):
            timeline([("Sqat", 1.0)])

    @pytest.mark.parametrize("name", [*ACTIVITIES, *IDLE])
    def test_every_act_can_be_rendered_from_any_phase(self, name: str) -> None:
        (frame,) = render_clip(name, seed=11, seconds=1.0, fps=1, size=SMALL)
        assert 20 < frame.mean() < 235
        assert frame.std() > 5


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("figure") / "data"
    options = ["--clips-per-label", "1", "--seed", "4", "--fps", "2", "--seconds", "1", "--sizes", "96x64", "--processes", "1"]
    subprocess.run([sys.executable, str(SCRIPT), "dataset", str(out), *options], check=True, capture_output=True)
    return out


class TestScript:
    def test_a_data_set_has_a_folder_per_label_and_a_table_with_groups(self, data: Path) -> None:
        with (data / "clips.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert {row["label"] for row in rows} == {*ACTIVITIES, BACKGROUND}
        assert {row["group"] for row in rows} == {"g4"}
        assert all((data / row["path"]).is_file() and Path(row["path"]).parent.name == row["label"] for row in rows)
        assert not list(data.rglob("*.partial"))

    def test_its_clips_can_be_read(self, data: Path) -> None:
        (path,) = (data / "Squat").iterdir()
        with av.open(str(path)) as container:
            frames = [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]
        assert [frame.shape for frame in frames] == [(64, 96, 3)] * 2
