"""Labels that are taken for one, where a data set tells apart what need not be, or cannot be, told apart."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import groupby

from streamvc.errors import DataError
from streamvc.training.dataset.types import Clip, Dataset, background_of

APART_S = 0.5  # seconds; segments of one label that are no further apart are one


def merge_labels(dataset: Dataset, merge: Mapping[str, str]) -> Dataset:
    """A data set with other labels in place of some, if any. In untrimmed video, segments that touch and have one label then become one segment.

    Args:
        dataset: The data.
        merge: Of each label that is replaced the one that takes its place.

    Raises:
        DataError: A label is not one of the data's, or one label is left.
    """
    if not merge:
        return dataset
    if unknown := [label for label in merge if label not in dataset.labels]:
        raise DataError(f"no clip has the label {unknown[0]}, which is to be merged; there are: {', '.join(dataset.labels)}")
    clips = tuple(replace(clip, label=merge.get(clip.label, clip.label)) for clip in dataset.clips)
    if dataset.untrimmed:
        clips = _joined(clips)
    labels = tuple(sorted({clip.label for clip in clips}))
    if len(labels) == 1:
        raise DataError(f"{labels[0]} would be the one label that is left; a recogniser needs two or more")
    return replace(dataset, clips=clips, labels=labels, background=merge.get(dataset.background or "", dataset.background) or background_of(labels))


def _joined(clips: Iterable[Clip]) -> tuple[Clip, ...]:
    """The segments of all videos, by video and time, those of a label that touch as one."""
    by_label = sorted(clips, key=lambda clip: (clip.path, clip.label, clip.start_s))
    joined = [clip for _, same in groupby(by_label, key=lambda clip: (clip.path, clip.label)) for clip in _join(list(same))]
    return tuple(sorted(joined, key=lambda clip: (clip.path, clip.start_s)))


def _join(segments: list[Clip]) -> list[Clip]:
    joined = segments[:1]
    for clip in segments[1:]:
        last = joined[-1]
        if last.end_s is None:
            continue
        if clip.start_s - last.end_s >= APART_S:
            joined.append(clip)
        else:
            joined[-1] = replace(last, end_s=None if clip.end_s is None else max(last.end_s, clip.end_s))
    return joined
