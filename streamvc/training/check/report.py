"""The check of a data set: what is there, and what is wrong with it."""

from dataclasses import asdict, dataclass
from typing import Any

from streamvc.training.check.problems import DatasetProblem, find_problems
from streamvc.training.check.survey import DatasetSurvey, survey
from streamvc.training.dataset import Dataset
from streamvc.training.progress import Advance, silent


@dataclass(frozen=True, slots=True, eq=False)
class DatasetCheck:
    """What was found, and what is wrong with it, the fatal first."""

    survey: DatasetSurvey
    problems: tuple[DatasetProblem, ...]

    @property
    def is_usable(self) -> bool:
        """Whether something can be trained on the data."""
        return not any(problem.is_fatal for problem in self.problems)

    def as_json(self) -> dict[str, Any]:
        """All of it in a form that JSON can hold."""
        found, dataset = self.survey, self.survey.dataset
        return {
            "usable": self.is_usable,
            "num_clips": len(found.lengths_s),
            "num_groups": found.num_groups,
            "grouping": dataset.grouping,
            "background": dataset.background,
            "untrimmed": dataset.untrimmed,
            "labels": {label: asdict(counts) for label, counts in found.labels.items()},
            "lengths_s": asdict(found.lengths) if found.lengths else None,
            "rates": found.rates,
            "sizes": found.sizes,
            "codecs": found.codecs,
            "ignored": [asdict(ignored) for ignored in dataset.ignored],
            "problems": [asdict(problem) for problem in self.problems],
        }


def check_dataset(dataset: Dataset, *, num_workers: int | None = None, advance: Advance = silent) -> DatasetCheck:
    """Open every video of a data set, and look for what would spoil a training or its figures.

    Args:
        dataset: The data set.
        num_workers: How many videos are decoded at a time; as many as there are cores if not given.
        advance: Is called with the progress.
    """
    found = survey(dataset, num_workers=num_workers, advance=advance)
    return DatasetCheck(found, find_problems(found))
