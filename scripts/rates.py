"""The events of bundles where frames are missing: at half the rate, at the lowest allowed, and with some dropped at random, as under overload.

    python scripts/rates.py [BUNDLE ...] --data DATA [--data DATA ...] [--every 1] [--cache FOLDER]

Without names it takes all bundles that are found. A cell has how many activities have an event of theirs, how many events meet no activity of their
label, and how many that is an hour. Data of other labels counts as no activity at all. Of clips that a bundle has learned from, only how the columns
differ says something; what it does with others is on its card.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from streamvc.errors import DataError, StreamvcError
from streamvc.inference.bundle import list_bundles
from streamvc.inference.recognizer import Recognizer
from streamvc.training.dataset import Clip, load_dataset, load_videos, merge_labels
from streamvc.training.evaluate import is_unknown
from streamvc.training.feature_sequence import ALL_FRAMES, ExtractionSpec, Thinning
from streamvc.training.features import cache_folder, extract, fill_cache
from streamvc.training.prediction_trace import detect, length_s, predict_file, trace_file, whole_files
from streamvc.training.rates import RateFigures, count_at_rate

FEW, MANY = 0.2, 0.5  # share of the frames that are dropped


def ways(recognizer: Recognizer) -> list[Thinning]:
    """How frames are missing; a way that is the same as another is left out."""
    rates_hz = (recognizer.rate_hz / 2, recognizer.bundle.manifest.least_hz)
    return [ALL_FRAMES, *dict.fromkeys(map(Thinning, rates_hz)), Thinning(dropped=FEW), Thinning(dropped=MANY)]


def read(recognizer: Recognizer, data: Path) -> tuple[list[Clip], list[Clip]]:
    """The videos, and what goes on in them."""
    manifest = recognizer.bundle.manifest
    try:
        is_other = is_unknown(recognizer.bundle.path, data)
    except DataError:  # it is no data set, or has one label only
        is_other = True
    if is_other:
        return list(load_videos(data)), []
    dataset = load_dataset(data)
    dataset = merge_labels(dataset, {label: other for label, other in manifest.merged.items() if label in dataset.labels})
    activities = set(manifest.labels) - {manifest.background}
    return whole_files(dataset.clips), [clip for clip in dataset.clips if clip.label in activities]


def measure(recognizer: Recognizer, data: Path, every: int, cache: Path, num_workers: int | None = None) -> list[RateFigures]:
    """The figures of each way in which frames are missing, on one video of so many."""
    bundle, rate_hz = recognizer.bundle, recognizer.rate_hz
    files, active = read(recognizer, data)
    specs = [ExtractionSpec(str(bundle.path), rate_hz, thinning=thinning) for thinning in ways(recognizer)]
    fill_cache(files[::every], specs, cache=cache, num_workers=num_workers)  # each video is decoded once
    return [_at(recognizer, files[::every], active, spec, cache) for spec in specs]


def _at(recognizer: Recognizer, files: Sequence[Clip], active: Sequence[Clip], spec: ExtractionSpec, cache: Path) -> RateFigures:
    found = extract(files, spec.extractor, spec.rate_hz, thinning=spec.thinning, cache=cache)
    streams = []
    for file, sequence in zip(found.clips, found.sequences, strict=True):
        if len(sequence.features):
            its_own = [clip for clip in active if clip.path == file.path]
            trace = trace_file(recognizer.bundle.manifest, its_own, predict_file(recognizer, sequence), length_s(sequence))
            streams.append(detect(recognizer.bundle, trace))
    return count_at_rate(str(spec.thinning), streams)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", nargs="*", metavar="BUNDLE", help="names or folders (default: all that are found)")
    parser.add_argument("--data", type=Path, action="append", required=True, help="a data set, its table, or a folder of videos")
    parser.add_argument("--every", type=int, default=1, help="take one video of so many")
    parser.add_argument("--cache", type=Path, default=cache_folder())
    parser.add_argument("--workers", type=int, help="videos decoded at a time (default: as many as there are cores)")
    arguments = parser.parse_args()
    try:
        for name in arguments.bundles or list_bundles():
            recognizer = Recognizer.load(name)
            print(f"{name}, {recognizer.rate_hz:g} Hz, {recognizer.bundle.manifest.least_hz:g} at least")
            for data in arguments.data:
                figures = measure(recognizer, data, arguments.every, arguments.cache, arguments.workers)
                print(f"  {data}: {figures[0].hours:.3f} h")
                for each in figures:
                    print(
                        f"    {each.rate:12}{each.num_found:5} of {each.num:<5}{each.num_false:5} false{each.false_per_hour:8.1f} an hour", flush=True
                    )
    except StreamvcError as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
