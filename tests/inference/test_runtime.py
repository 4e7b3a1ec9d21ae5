"""Runtimes are chosen, refuse what they cannot run, and stay quiet."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamvc.errors import InferenceError
from streamvc.inference.backbone import find_backbone
from streamvc.inference.runtime import TensorSpec, installed_runtimes, open_model
from streamvc.types import Array
from tests.inference.settings import BACKBONE

MODEL = find_backbone(BACKBONE) / "backbone.tflite"


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100)


@given(values=st.lists(st.floats(-1, 0.99), min_size=1), scale=st.floats(0.008, 0.1), zero_point=st.integers(-5, 5))
def test_a_quantised_tensor_holds_values_to_half_a_step(values: list[float], scale: float, zero_point: int) -> None:
    spec = TensorSpec((len(values),), np.dtype(np.int8), scale, zero_point)
    inside = np.clip(values, (-128 - zero_point) * scale, (127 - zero_point) * scale)
    assert spec.decode(spec.encode(inside)) == pytest.approx(inside, abs=scale * 0.501)


def test_values_beyond_a_quantised_tensors_range_are_clipped() -> None:
    spec = TensorSpec((2,), np.dtype(np.int8), scale=0.5, zero_point=10)
    assert spec.encode(np.array([-1e6, 1e6])).tolist() == [-128, 127]


def test_an_unknown_runtime_is_refused() -> None:
    with pytest.raises(InferenceError, match="unknown runtime 'onnx'; choose one of: litert, tflite-runtime, tensorflow"):
        open_model(MODEL, "onnx")


def test_a_runtime_that_is_not_installed_is_named() -> None:
    missing = sorted({"litert", "tflite-runtime", "tensorflow"} - set(installed_runtimes()))
    if not missing:
        pytest.skip("all runtimes are installed")
    with pytest.raises(InferenceError, match=f"runtime '{missing[0]}' is not installed; installed: {installed_runtimes()[0]}"):
        open_model(MODEL, missing[0])


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InferenceError, match=r"none\.tflite: no such file"):
        open_model(tmp_path / "none.tflite")


def test_no_threads_are_too_few() -> None:
    with pytest.raises(InferenceError, match="0 threads cannot run a model"):
        open_model(MODEL, threads=0)


@pytest.mark.parametrize("runtime", installed_runtimes())
@pytest.mark.parametrize("content", [b"", b"text", bytes(1000), MODEL.read_bytes()[:100_000]])
def test_a_damaged_file_is_refused_in_one_line(tmp_path: Path, runtime: str, content: bytes) -> None:
    if runtime == "tflite-runtime" and len(content) == 100_000:
        pytest.skip("tflite-runtime does not verify files and may crash on a truncated one; hashes are checked before it sees them")
    path = tmp_path / "bad.tflite"
    path.write_bytes(content)
    with pytest.raises(InferenceError, match=r"bad\.tflite: not a model that this runtime can run") as caught:
        open_model(path, runtime)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not {"litert", "tflite-runtime"} & set(installed_runtimes()), reason="no edge runtime is installed")
def test_a_reference_kept_to_the_input_tensor_is_an_error() -> None:
    kept: list[Array] = []
    with pytest.raises(InferenceError, match="the runtime failed: There is at least 1 reference"):
        open_model(MODEL).run(kept.append)


def test_an_error_that_is_kept_does_not_keep_the_model_from_running() -> None:
    model = open_model(MODEL)

    def fail(tensor: Array) -> None:
        try:
            raise KeyError(tensor.shape)
        except KeyError as error:
            raise InferenceError("no such picture") from error

    with pytest.raises(InferenceError, match="no such picture") as caught:
        model.run(fail)
    assert model.run(lambda tensor: tensor.fill(0)).shape == (1, 1280)
    assert caught.value.__cause__


def test_two_threads_give_what_one_gives() -> None:
    values = np.random.default_rng(0).uniform(-1, 1, (1, 224, 224, 3)).astype(np.float32)
    one, two = (open_model(MODEL, threads=threads).run(lambda tensor: np.copyto(tensor, values)) for threads in (1, 2))
    assert one == pytest.approx(two, abs=1e-5)


def test_the_default_runtime_prints_nothing_and_does_not_load_tensorflow() -> None:
    result = run_python(
        "import sys; from pathlib import Path; from streamvc.inference.runtime import open_model\n"
        f"open_model(Path({str(MODEL)!r})).run(lambda tensor: tensor.fill(0))\n"
        "print('tensorflow' in sys.modules)"
    )
    assert (result.returncode, result.stderr) == (0, "")
    if installed_runtimes()[0] != "tensorflow":
        assert result.stdout == "False\n"


def test_what_others_write_to_stderr_meanwhile_is_kept() -> None:
    result = run_python(
        "import os; from streamvc.inference.native_logs import hide_native_logs\n"
        "with hide_native_logs(): os.write(2, b'INFO: native log\\nERROR: real\\nI0000 00:00:1795298042.067163 1 reader.cc:83] native log\\n')"
    )
    assert result.stderr == "ERROR: real\n"


def test_a_process_without_stderr_loads_models_too() -> None:
    result = run_python(
        "import os; os.close(2); from pathlib import Path; from streamvc.inference.runtime import open_model\n"
        f"print(open_model(Path({str(MODEL)!r})).output.shape)"
    )
    assert result.stdout == "(1, 1280)\n"
