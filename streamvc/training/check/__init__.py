"""Looks at a data set before anything is trained on it: what is there, and what is wrong with it."""

from streamvc.training.check.report import Check, check_dataset
from streamvc.training.check.sheet import write_sheet

__all__ = ["Check", "check_dataset", "write_sheet"]
