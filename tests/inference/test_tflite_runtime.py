"""tflite-runtime agrees with LiteRT. It needs an environment of its own: `pip install '.[tflite-runtime,test]'`, without TensorFlow."""

import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from streamvc.capture.source import open_source
from streamvc.demo import CLIP
from streamvc.errors import InferenceError
from streamvc.inference.backbone import Backbone, find_backbone
from streamvc.inference.bundle import list_bundles, load_bundle
from streamvc.inference.recognizer import Recognizer
from streamvc.inference.runtime import open_model
from streamvc.session import Session
from tests.inference.settings import BACKBONE, picture

pytestmark = [
    pytest.mark.skipif(find_spec("tflite_runtime") is None, reason="tflite-runtime is not installed"),
    pytest.mark.skipif(
        find_spec("tensorflow") is not None, reason="tflite-runtime must not share a process with TensorFlow, which is installed here"
    ),
]
numpy_1 = pytest.mark.skipif(np.__version__ >= "2", reason="tflite-runtime needs NumPy 1")


@pytest.mark.skipif(np.__version__ < "2", reason="NumPy 1 is installed, with which it works")
def test_numpy_2_is_refused_in_one_line_before_the_native_code_fails() -> None:
    with pytest.raises(InferenceError, match=r"tflite-runtime needs NumPy 1, not 2\.") as caught:
        open_model(find_backbone(BACKBONE) / "backbone.tflite", "tflite-runtime")
    assert "\n" not in str(caught.value)


@numpy_1
def test_features_agree() -> None:
    exact, other = (Backbone.load(BACKBONE, runtime=runtime).features(picture()) for runtime in ("litert", "tflite-runtime"))
    assert np.abs(exact - other).max() < 1e-4


@numpy_1
def test_shipped_bundles_give_the_same_scores() -> None:
    bundles = [name for name in list_bundles() if load_bundle(name).manifest.subject == "scene"]
    if not bundles:
        pytest.skip("no bundle is there")
    with open_source(CLIP, policy="every") as source:
        frames = [replace(frame, image=frame.image.copy()) for frame in source if frame.timestamp < 12.0]
    for bundle in bundles:
        recognizers = [Recognizer.load(bundle, runtime=runtime) for runtime in ("litert", "tflite-runtime")]
        exact, other = (np.array([p.scores for frame in frames if (p := recognizer.step(frame))]) for recognizer in recognizers)
        assert len(exact) > 20
        if any(part.backbone and "int8" in part.backbone.name for part in recognizers[0].bundle.manifest.parts):
            # In int8 the two round differently, and so see somebody a little elsewhere in the next frame.
            assert np.abs(exact - other).mean() < 0.02
            assert (exact.argmax(axis=1) == other.argmax(axis=1)).mean() > 0.9
        else:
            assert exact == pytest.approx(other, abs=1e-3)


@numpy_1
def test_shipped_bundles_of_people_hear_the_same() -> None:
    bundles = [name for name in list_bundles() if load_bundle(name).manifest.subject == "person"]
    if not bundles:
        pytest.skip("no bundle is there")
    for bundle in bundles:
        heard = []
        for runtime in ("litert", "tflite-runtime"):
            with open_source(CLIP, policy="every") as source, Session(bundle, runtime=runtime) as session:
                heard.append([event.label for frame in source for event in session.take(frame) if event.phase == "start"])
        assert heard[0] == heard[1]


@numpy_1
def test_it_prints_nothing() -> None:
    path = (find_backbone(BACKBONE) / "backbone.tflite").absolute()
    code = f"from pathlib import Path; from streamvc.inference.runtime import open_model; open_model(Path({str(path)!r}), 'tflite-runtime')"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parent, timeout=100)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
