"""What is wrong with a data set."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from streamvc.health import is_sparse
from streamvc.training.check.survey import DatasetSurvey
from streamvc.training.dataset import Clip
from streamvc.training.dataset.types import BACKGROUND_NAMES
from streamvc.training.folds import leaking_groups

SLACK_S = 1.0  # seconds by which a video may end before its announced length, or a segment after its video
MUCH_SHORTER = 5  # times shorter than the median clip
UNEQUAL = 5  # times as many clips of one label as of another


@dataclass(frozen=True, slots=True)
class DatasetProblem:
    """Something that is wrong with a data set.

    Attributes:
        kind: What it is, in a word or two.
        text: What it is and what comes of it, in one line.
        items: What has it.
        is_fatal: Nothing can be trained before it is mended.
    """

    kind: str
    text: str
    items: tuple[str, ...] = ()
    is_fatal: bool = False


def find_problems(survey: DatasetSurvey) -> tuple[DatasetProblem, ...]:
    """All that is wrong, the fatal first."""
    kinds = (_empty_labels, _groups, _alike, _refused, _damaged, _sparse, _cut, _beyond, _twins, _leaks, _short, _unequal, _no_groups)
    found = [problem for find in kinds for problem in find(survey)]
    return tuple(sorted(found, key=lambda problem: not problem.is_fatal))


def _empty_labels(survey: DatasetSurvey) -> Iterator[DatasetProblem]:
    if empty := [label for label, counts in survey.labels.items() if not counts.num_clips]:
        yield DatasetProblem(
            "no clips", f"{_num(empty, 'label')} without a clip that can be used: mend them, or take the label out", tuple(empty), is_fatal=True
        )


def _groups(survey: DatasetSurvey) -> Iterator[DatasetProblem]:
    if survey.num_groups == 1:
        text = "all clips are of one group, so that nothing can be held out to test on; add clips of other people or places"
        yield DatasetProblem("one group", text, is_fatal=True)
    elif single := [label for label, counts in survey.labels.items() if counts.num_groups == 1]:
        yield DatasetProblem("one group", f"{_num(single, 'label')} with one group only: no fold can both train and test on it", tuple(single))


def _alike(survey: DatasetSurvey) -> Iterator[DatasetProblem]:
    """Labels that people would take for one; the model has to tell them apart."""
    spelt = defaultdict(list)
    for label in survey.dataset.labels:
        spelt["nothing" if label.lower() in BACKGROUND_NAMES else label.casefold()].append(label)
    for labels in (labels for labels in spelt.values() if len(labels) > 1):
        text = f"the labels {' and '.join(labels)} mean the same, but count as several: merge them (--merge {labels[0]}={labels[-1]})"
        yield DatasetProblem("alike", text, tuple(labels))


def _refused(survey: DatasetSurvey) -> Iterator[DatasetProblem]:
    if survey.refused:
        yield DatasetProblem("unreadable", f"{_num(survey.refused, 'video')} that cannot be read will be skipped", tuple(survey.refused.values()))


def _damaged(survey: DatasetSurvey) -> Iterator[DatasetProblem]:
    if damaged := [f"{survey.name(path)} ({video.num_damaged} pictures)" for path, video in survey.videos.items() if video.num_damaged]:
        yield DatasetProblem("damaged", f"{_num(damaged, 'video')} with pictures that cannot be decoded; they will be missing", tuple(damaged))


def _sparse(survey: DatasetSurvey) -> Iterator[DatasetProblem]:
    if sparse := [f"{survey.name(path)} ({video.fps:.2g} a second)" for path, video in survey.videos.items() if video.fps and is_sparse(video.fps)]:
        text = f"{_num(sparse, 'video')} with fewer than one picture a second, which is too few for any model; they will be skipped"
        yield DatasetProblem("too few pictures", text, tuple(sparse))


def _cut(survey: DatasetSurvey) -> Iterator[DatasetProblem]:
    cut = [
        f"{survey.name(path)} ({video.length_s:.1f} of {video.announced_s:.1f} s)"
        for path, video in survey.videos.items()
        if video.announced_s and video.announced_s - video.length_s > SLACK_S
    ]
    if cut:
        yield DatasetProblem("cut short", f"{_num(cut, 'video')} that break off before their announced end", tuple(cut))


def _beyond(survey: DatasetSurvey) -> Iterator[DatasetProblem]:
    beyond = [
        f"{_segment(survey, clip)} (the video ends at {survey.videos[clip.path].length_s:.1f} s)"
        for clip in survey.lengths_s
        if clip.end_s and clip.end_s - survey.videos[clip.path].length_s > SLACK_S
    ]
    if beyond:
        yield DatasetProblem(
            "beyond the end", f"{_num(beyond, 'segment')} that end after their video has ended: are they of another one?", tuple(beyond)
        )


def _segment(survey: DatasetSurvey, clip: Clip) -> str:
    return f"{survey.name(clip.path)} {clip.start_s:g}-{clip.end_s:g} s {clip.label}"


def _twins(survey: DatasetSurvey) -> Iterator[DatasetProblem]:
    """Videos with the same bytes. (Segments of one video are no twins.)"""
    clips = {clip.path: clip for clip in survey.dataset.clips if clip.path in survey.videos}
    for twins in _same_bytes(list(clips)):
        names = tuple(survey.name(path) for path in twins)
        told = [clips[path] for path in twins]
        where = [
            f"under {what} {' and '.join(sorted(said))}"
            for what, said in (
                ("the labels", {clip.label for clip in told}),
                ("the groups", {clip.group for clip in told} if survey.dataset.grouping != "file" else set()),
                ("the sides", {clip.split or "" for clip in told}),
            )
            if len(said) > 1
        ]
        yield DatasetProblem(
            "duplicate", f"{len(names)} files are the same video{', ' if where else ''}{', '.join(where)}; the first alone is used", names
        )


def _same_bytes(paths: Sequence[Path]) -> list[list[Path]]:
    """The files of which there are others with the same bytes; only those are read of whose size there are several."""
    sizes = Counter(path.stat().st_size for path in paths)
    same = defaultdict(list)
    for path in paths:
        if sizes[path.stat().st_size] > 1:
            with path.open("rb") as file:
                same[hashlib.file_digest(file, "sha256").digest()].append(path)
    return [twins for twins in same.values() if len(twins) > 1]


def _leaks(survey: DatasetSurvey) -> Iterator[DatasetProblem]:
    if leaks := leaking_groups(survey.dataset.clips):
        text = f"{_num(leaks, 'group')} on both sides of the data's own split: its figures come out too high, split by groups instead"
        yield DatasetProblem("leak", text, tuple(leaks))


def _short(survey: DatasetSurvey) -> Iterator[DatasetProblem]:
    if not survey.lengths:
        return
    limit_s = survey.lengths.median / MUCH_SHORTER
    if short := [f"{survey.name(clip.path)} ({length_s:.1f} s)" for clip, length_s in survey.lengths_s.items() if length_s < limit_s]:
        yield DatasetProblem("short", f"{_num(short, 'clip')} much shorter than the median of {survey.lengths.median:.1f} s", tuple(short))


def _unequal(survey: DatasetSurvey) -> Iterator[DatasetProblem]:
    counts = Counter({label: counts.num_clips for label, counts in survey.labels.items() if counts.num_clips})
    if not counts:
        return
    (most, num_most), (fewest, num_fewest) = counts.most_common()[0], counts.most_common()[-1]
    if num_most >= UNEQUAL * num_fewest:
        text = f"{num_most} clips of {most}, but {num_fewest} of {fewest}: the rare labels will be recognised seldom"
        yield DatasetProblem("unequal", text)


def _no_groups(survey: DatasetSurvey) -> Iterator[DatasetProblem]:
    if survey.dataset.grouping == "file" and not survey.dataset.untrimmed:
        text = "not all clips name their group: where several show the same people or place, figures come out too high; see docs/data.md"
        yield DatasetProblem("no groups", text)


def _num(items: Iterable[object], noun: str) -> str:
    num = len(list(items))
    return f"{num} {noun}{'' if num == 1 else 's'}"
