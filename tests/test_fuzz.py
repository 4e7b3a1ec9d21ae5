"""Mutated networks, bundles and manifests end nothing but their own reading; a slice of what `scripts/fuzz.py` does, and what it notices."""

import os
import random
import time
from pathlib import Path

import pytest

from fuzz import Kind, mutated, randomness, run
from streamvc.errors import BundleError

KEPT: list[bytes] = []
SEED = 45  # with which one of them hangs and one grows, as these take long


def misbehaving() -> Kind:
    """What an input does is its first byte's."""

    def use(path: Path) -> None:
        match path.read_bytes():
            case b"refused":
                raise BundleError("no")
            case b"two lines":
                raise BundleError("no\nreally")
            case b"defect":
                raise KeyError("a")
            case b"crash":
                os.abort()
            case b"hang":
                time.sleep(60)
            case b"grew":
                KEPT.append(b"x" * 300_000_000)

    words = [b"used", b"refused", b"two lines", b"defect", b"crash", b"hang", b"grew"]
    return Kind(lambda rng: rng.choice(words), use, "input", timeout_s=10.0, num_first=0)


def test_all_that_an_input_may_do_is_noticed_and_the_next_one_is_tried(tmp_path: Path) -> None:
    kind = "tests.test_fuzz:misbehaving"
    inputs = [misbehaving().make(randomness(kind, SEED, number)) for number in range(11)]
    assert len(set(inputs)) == 7
    result = run(kind, len(inputs), seed=SEED, out=tmp_path)
    assert sum(result.outcomes.values()) - result.outcomes["grew"] == len(inputs)
    expected = {b"two lines": "defect", b"defect": "defect", b"crash": "crash", b"hang": "hang", b"grew": "grew"}
    wanted = [(number, expected[given]) for number, given in enumerate(inputs) if given in expected]
    assert [(finding.number, finding.outcome) for finding in result.findings] == wanted
    assert len(list(tmp_path.iterdir())) == 2 * len(wanted)
    assert result.outcomes["refused"] == inputs.count(b"refused")


def test_an_input_depends_on_its_number_alone() -> None:
    content = bytes(range(256)) * 4
    made = [mutated(content, randomness("kind", 7, number)) for number in range(50)]
    assert made == [mutated(content, randomness("kind", 7, number)) for number in range(50)]
    assert len(set(made)) > 45
    assert mutated(b"", random.Random(0)) is not None


@pytest.mark.parametrize(("kind", "num_inputs"), [("configurations", 200), ("messages", 200), ("requests", 100)])
def test_mutated_configurations_and_messages_do_no_more_than_they_may(kind: str, num_inputs: int) -> None:
    result = run(kind, num_inputs, seed=1)
    assert result.findings == []
    assert result.outcomes["used"] + result.outcomes["refused"] == num_inputs


@pytest.mark.parametrize(("kind", "num_inputs"), [("networks", 6), ("bundles", 6), ("manifests", 20)])
def test_mutated_models_are_used_or_refused_in_one_line(kind: str, num_inputs: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    result = run(kind, num_inputs, seed=1)
    assert result.findings == []
    assert result.outcomes["refused"] > num_inputs / 3
