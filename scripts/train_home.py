"""Teaches the bundle `home`, everyday activities of each person, from skeletons.

    python scripts/train_home.py DATA --out models/home

DATA has `everyday/skeletons.npz` and `exercise` (see data/README.md). What is learned is written with the card scripts/home/CARD.md; how right it is
about subjects and sources that it did not learn from is printed, with NTU and without. It needs the extras `train` and `test`.
"""

import argparse
import re
from pathlib import Path

import numpy as np

from home.learning import Head, Tally, by_source, by_subject, fit, measure
from home.sequences import LEAST, NOTHING, RATE_HZ, WINDOW, examples, features, read, windows
from streamvc.errors import InferenceError
from streamvc.inference.bundle import Bundle, write_bundle
from streamvc.inference.extractors import open_extractor
from streamvc.inference.manifest import BundleSettings, LabelThresholds, Threshold
from streamvc.inference.people.extractor import PeopleExtractor
from streamvc.inference.people.skeletons import FloatArray
from streamvc.training.export import TOLERANCE
from streamvc.training.feature_sequence import ExtractionSpec, extract_sequences
from streamvc.training.inputs import Scaling
from streamvc.training.networks.network import HeadFiles, HeadSpec
from streamvc.training.networks.windows import statistics
from streamvc.training.plan import HeadSettings

EXTRACTOR = "movenet-multipose-int8:posture"
LEFT_OUT = {"NTU"}  # whose terms are the strictest, and which is not needed
EVERY, LEAST_GROUP_KEPT = 4, 17  # one clip of so many of `exercise`, of the groups before this one, is learned from as nothing
APART = 3  # ticks from one of their windows to the next
SMOOTHING_S = 0.8
COMMON = Threshold(enter=0.5, leave=0.3, min_s=0.2, cooldown_s=1.0)
MIN_RATE_HZ = 1.5
CARD = Path(__file__).parent / "home" / "CARD.md"


def nothing_of(folder: Path) -> FloatArray:
    """(M, 5 D) statistics of windows of people who exercise."""
    spec = ExtractionSpec(EXTRACTOR, RATE_HZ)
    extractor = open_extractor(EXTRACTOR, RATE_HZ)
    found: list[FloatArray] = []
    for path in sorted(folder.glob("*/*.mp4"))[EVERY // 2 :: EVERY]:
        group = re.search(r"_g(\d+)_", path.name)
        if group and int(group[1]) < LEAST_GROUP_KEPT:
            stretches = extract_sequences(path, {spec: extractor})[spec].stretches()
            found += [each for rows in stretches for each in windows(rows, np.arange(LEAST, len(rows) + 1, APART))]
    return np.stack(found)


def export(head: Head, folder: Path) -> Bundle:
    """Write what was learned as a bundle."""
    extractor = open_extractor(EXTRACTOR, RATE_HZ)
    assert isinstance(extractor, PeopleExtractor)
    size = extractor.feature_size
    inputs = Scaling(np.ones(size, np.float32), np.zeros(size, np.float32))
    network = statistics(HeadSpec(size, size, None, len(head.labels), HeadSettings(window=WINDOW, warm_up=LEAST, feature_dropout=0.0, dropout=0.0)))
    network.model.layers[-1].set_weights([head.kernel, head.bias])
    return write_bundle(folder, _settings(head, extractor, network.export(inputs)), {**network.export(inputs).files, "CARD.md": CARD.read_bytes()})


def _settings(head: Head, extractor: PeopleExtractor, files: HeadFiles) -> BundleSettings:
    return BundleSettings(
        name="home",
        version="1",
        recipe="statistics",
        labels=head.labels,
        background=NOTHING,
        subject="person",
        form="window",
        backbone=None,
        parts=extractor.parts,
        input=None,
        feature_size=extractor.feature_size,
        rate_hz=RATE_HZ,
        min_rate_hz=MIN_RATE_HZ,
        window=WINDOW,
        stride=1,
        warm_up=LEAST,
        mode="window",
        projection_size=files.projection_size,
        state_size=0,
        temperature=1.0,
        smoothing_s=SMOOTHING_S,
        thresholds=LabelThresholds(default=COMMON),
    )


def check(head: Head, bundle: Bundle, rows: FloatArray) -> float:
    """The largest difference between the scores of an exported head, row after row as it runs live, and those of what was learned.

    Raises:
        InferenceError: It is too large.
    """
    live = bundle.open_head()
    ends = np.arange(1, len(rows) + 1)
    expected = head.scores(np.stack(windows(rows, ends)))
    differences = []
    for row, scores in zip(rows, expected, strict=True):
        live.push(row)
        differences.append(float(np.abs(live.scores() - scores).max()))
    if not max(differences) <= TOLERANCE:
        raise InferenceError(f"the exported head's scores differ by {max(differences):.2g}, more than {TOLERANCE:g}")
    return max(differences)


def show(name: str, tally: Tally, *, details: bool = False) -> None:
    print(f"{name}: {tally.right} of {tally.num}, {tally.right / max(tally.num, 1):.3f}", flush=True)
    for label, found in sorted(tally.heard.items()) if details else ():
        others = ", ".join(f"{other} {num}" for other, num in sorted(found.items(), key=lambda pair: -pair[1]) if other != label)
        print(f"    {label:24}{found.get(label, 0):4} of {sum(found.values()):<5}{others}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="folder of the bundle")
    arguments = parser.parse_args()
    sequences = read(arguments.data / "everyday" / "skeletons.npz")
    learned = examples(sequences)
    nothing = nothing_of(arguments.data / "exercise")
    print(f"{len(sequences)} sequences, {len(learned.labels)} windows of them, {len(nothing)} of exercises", flush=True)
    sources = {sequence.source for sequence in sequences}
    kept = sources - LEFT_OUT
    where = np.array([sequence.source for sequence in sequences])[learned.sequences]
    head = fit(learned, np.isin(where, list(kept)), nothing, NOTHING)
    bundle = export(head, arguments.out)
    rows = features(sequences[0].keypoints, sequences[0].rate_hz)
    print(f"{bundle.path}: exported scores differ by {check(head, bundle, rows):.1g}")
    show("by subject, without NTU", by_subject(sequences, learned, kept, kept, nothing, NOTHING), details=True)
    show("the same subjects, learned from NTU as well", by_subject(sequences, learned, sources, kept, nothing, NOTHING))
    for name, used in (("without NTU", kept), ("with NTU", sources)):
        found = by_source(sequences, learned, used, nothing, NOTHING)
        for source, tally in found.items():
            show(f"by source, {name}: {source}", tally, details=name == "without NTU")
        show(f"by source, {name}, all but NTU", sum((tally for source, tally in found.items() if source not in LEFT_OUT), Tally({})))
    show("NTU, of which nothing was learned", measure(head, learned, np.isin(where, list(LEFT_OUT)), NOTHING), details=True)


if __name__ == "__main__":
    main()
