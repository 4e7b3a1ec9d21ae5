"""Compares the repetitions that a bundle counts with those that were counted by eye.

    python scripts/count_repetitions.py data/exercise [--model exercise] [--counts scripts/repetitions.csv]

The table names clips of UCF101, and how often each shows its exercise; a half is one that a clip begins or ends within. Each clip goes through a
session; counts are those of the `end` events of the right label.
"""

import argparse
import csv
from pathlib import Path

from streamvc.capture.source import open_source
from streamvc.errors import StreamvcError
from streamvc.session import Session


def counted(model: str, clip: Path, label: str) -> int | None:
    """How many repetitions its events tell; None where there is no event of the label."""
    with open_source(clip, policy="every") as source, Session(model) as session:
        events = [event for frame in source for event in session.take(frame)] + session.close("end_of_stream")
    counts = [event.count or 0 for event in events if event.phase == "end" and event.label == label]
    return sum(counts) if counts else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="exercise")
    parser.add_argument("--counts", type=Path, default=Path(__file__).with_name("repetitions.csv"))
    arguments = parser.parse_args()
    with arguments.counts.open() as table:
        rows = [(Path(row["path"]), float(row["count"])) for row in csv.DictReader(table)]
    try:
        found = [(path, right, counted(arguments.model, arguments.data / path, path.parent.name)) for path, right in rows]
    except StreamvcError as error:
        raise SystemExit(str(error)) from error
    for path, right, count in found:
        print(f"{path.stem:36}{right:5g}  {'no event' if count is None else count}")
    heard = [abs(count - right) for _, right, count in found if count is not None]
    within, same = sum(off <= 1 for off in heard), sum(off < 1 for off in heard)
    print(f"within one: {within} of {len(heard)} that gave their event, of {len(rows)}; the same: {same}")


if __name__ == "__main__":
    main()
