"""Data sets as people have them: a folder per label, tables, the lists of UCF101, segments of untrimmed video."""

from streamvc.training.dataset.load import load_dataset, load_videos
from streamvc.training.dataset.merging import merge_labels
from streamvc.training.dataset.types import Clip, Dataset, Grouping, IgnoredFiles, Side

__all__ = ["Clip", "Dataset", "Grouping", "IgnoredFiles", "Side", "load_dataset", "load_videos", "merge_labels"]
