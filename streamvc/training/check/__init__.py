"""Looks at a data set before anything is trained on it: what is there, and what is wrong with it."""

from streamvc.training.check.report import DatasetCheck, check_dataset
from streamvc.training.check.sheet import write_sheet

__all__ = ["DatasetCheck", "check_dataset", "write_sheet"]
