"""The card of a bundle: what it was made from, how good it was found, and what it cannot do."""

import math
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from importlib.metadata import version

from streamvc.inference.extractors import parts_of, sees_pictures
from streamvc.inference.manifest import PERSONAL
from streamvc.metrics import LabelFigures
from streamvc.training.dataset import Grouping
from streamvc.training.evaluate import Evaluation
from streamvc.training.folds import Split
from streamvc.training.operating_curve import COLUMNS, CONFIDENCE
from streamvc.training.rates import RateFigures
from streamvc.training.recipes import RECIPES
from streamvc.training.report import TrainingReport
from streamvc.training.tuning import HEARD_SHARE

GROUPED_BY: dict[Grouping, str] = {
    "column": "Groups are those of the data set.",
    "pattern": "Groups were read off the paths, by a pattern that was asked for.",
    "name": "Groups were read off the file names (`_g08_`).",
    "folder": "Groups were read off the folders (`subject1`).",
    "file": "The data names no groups, so each clip was one by itself. **Clips of the same people or place may have stood on both sides of a split; "
    "the figures are then too high.**",
}
EACH_FILE = "Each file is a group by itself, so that all segments of it stand on one side of a split."
SEES = (
    "It sees pictures through a network trained on others: it knows postures and surroundings better than movement, and a person must fill a good "
    "part of the picture."
)
SPLITS: dict[Split, str] = {
    "groups": "{plan.num_folds} folds by group (seed {plan.seed}): each recogniser was measured on clips of groups that it had not seen, by the code "
    "that runs live. Mean and standard deviation over the folds:",
    "given": "Measured on the data's own test side, none of whose groups it had seen, by the code that runs live:",
    "given-leaky": "Measured on the data's own test side, **some of whose groups it had seen: the figures are too high**:",
    "random-leaky": "{plan.num_folds} random folds (seed {plan.seed}), **clips of one group standing on both sides: the figures are too high**:",
}
ALL = "all others"  # in the table of thresholds
LEAST_H = 0.005  # of video, for something to be said of an hour
MADE_WITH = ("streamvc", "tensorflow", "keras", "numpy")


def card(report: TrainingReport) -> str:
    """The card of what was trained, as Markdown."""
    measured = [_figures(report), _events(report), _curve(report), *rates_section(report.rates), *_beside(report)]
    sections = [_what(report), _data(report), *measured, _head(report), _limits(report), _again(report)]
    return "\n\n".join(sections) + "\n"


def _what(report: TrainingReport) -> str:
    labels = ", ".join(f"`{label}`" for label in report.dataset.labels)
    nothing = f" `{report.plan.background}` stands for no activity and is never an event." if report.plan.background else ""
    return f"# {report.name}\n\nRecognises {labels}.{nothing}"


def chosen_from(report: TrainingReport) -> str:
    """Why it has this recipe; empty where there was no choice."""
    figures = ", ".join(f"{recipe} {figure:.3f}" for recipe, figure in sorted(report.chosen_from.items(), key=lambda item: -item[1]))
    by = "F1 of the events" if report.dataset.untrimmed else "share of the clips right"
    return f"Of these recipes {report.plan.recipe} was taken, by the {by} on the held-out folds: {figures}." if figures else ""


def _nothing(report: TrainingReport) -> str:
    label, share = report.plan.background, report.plan.head.background_share
    num_clips = sum(clip.label == label for clip in report.extraction.clips)
    sources = ", ".join(f"`{path.name}`" for path in report.plan.background_videos)
    return f"{num_clips} of the clips are `{label}`, among them the pieces of videos from {sources}; at most {share:.0%} of what is learned from is."


def _data(report: TrainingReport) -> str:
    clips = report.extraction.clips
    num_groups = len({clip.group for clip in clips})
    grouped = EACH_FILE if report.dataset.untrimmed and report.dataset.grouping == "file" else GROUPED_BY[report.dataset.grouping]
    counts = f"{len(clips)} clips of {len(report.dataset.labels)} labels, from {num_groups} groups. {grouped}"
    num_skipped = len(report.extraction.skipped)
    skipped = (
        f" {num_skipped} {'was' if num_skipped == 1 else 'were'} left out as unusable (unreadable, too short or there twice)." if num_skipped else ""
    )
    about, nothing = [report.plan.about] if report.plan.about else [], [_nothing(report)] if report.plan.background_videos else []
    return "\n\n".join(["## Data", *about, counts + skipped, *nothing])


def _figures(report: TrainingReport) -> str:
    plan = report.plan
    split = SPLITS[plan.split].format(plan=plan)
    rows = [
        ("clips right (mean of the scores over the clip)", report.clip_top1, *(f"{fold.clip_top1:.3f}" for fold in report.folds)),
        ("predictions right (each by itself)", report.window_top1, *(f"{fold.window_top1:.3f}" for fold in report.folds)),
    ]
    if background := plan.background:
        what = f"without the clips of `{background}`, which is wrong on all others"
        rows += [
            (f"clips right, {what}", report.active_clip_top1, *(f"{fold.active_clip_top1:.3f}" for fold in report.folds)),
            (f"predictions right, {what}", report.active_window_top1, *(f"{fold.active_window_top1:.3f}" for fold in report.folds)),
        ]
    if report.taken:
        taken = f"clips right, frames taken as in the training (`{plan.head.take}`)"
        rows.append((taken, report.taken, *(f"{fold:.3f}" for fold in report.taken_top1)))
    if report.dataset.untrimmed:
        streams = [fold.stream for fold in report.folds]
        rows += [
            ("whole videos: mean average precision of the predictions", report.frame_map, *(f"{each.frame_map:.3f}" for each in streams)),
            ("whole videos: F1 of the events at overlap 0.3", report.event_f1, *(f"{each.events[0.3].f1:.3f}" for each in streams)),
        ]
    numbers = [f"fold {number}" for number in range(1, len(report.folds) + 1)]
    return "\n\n".join(["## Figures", split, _table(["", "mean", *numbers], rows), _per_label(report.pooled)])


def _per_label(pooled: Evaluation) -> str:
    def row(label: str, one: LabelFigures) -> tuple[object, ...]:
        outcomes = pooled.label_outcomes.get(label)
        heard = (f"{outcomes.right:.2f}", f"{outcomes.wrong:.2f}") if outcomes else ("", "")
        return label, f"{one.precision:.2f}", f"{one.recall:.2f}", f"{one.f1:.2f}", *heard, one.num

    rows = [row(label, one) for label, one in pooled.per_label.items()]
    head = ["label", "precision", "recall", "F1", "heard right", "heard wrong", "clips"]
    told = "Whole clips, all folds together; heard right is a clip that gives its event and no other, heard wrong one that gives another:"
    return f"{told}\n\n{_table(head, rows)}"


def _events(report: TrainingReport) -> str:
    outcomes, stream, background_events = report.pooled.active_outcomes, report.pooled.stream, report.pooled.background_events
    whose = "clips of activities" if report.plan.background else "clips"
    figures = [
        f"With the smoothing and the thresholds {_chosen(report)}, {outcomes.right:.1%} of the {whose} give the right event and no other, "
        f"{outcomes.wrong:.1%} a wrong one, {outcomes.silent:.1%} none."
    ]
    if math.isfinite(stream.delay_s):
        late = f"nine of ten within {stream.late_delay_s:.1f} s"
        figures.append(f"An event comes {stream.delay_s:.1f} s behind the start of its activity (median; {late}).")
    if report.dataset.untrimmed:
        f1, per_hour = stream.events[0.3].f1, stream.false_events_per_hour
        figures.append(f"On the whole videos, all folds together, the events' F1 is {f1:.3f} at overlap 0.3; {per_hour:.1f} an hour are false.")
    if background_events and background_events.hours >= LEAST_H:
        figures.append(
            f"Where nothing goes on there are {background_events.false_events_per_hour:.2f} false events an hour, in "
            f"{background_events.hours:.2f} h of such video" + (", from sources that the training never saw." if _has_sources(report) else ".")
        )
    if report.open_set:
        open_set = report.open_set
        figures.append(
            f"Activities that were never taught (each label left out in turn, in {len(open_set.rounds)} rounds; thresholds chosen on the others) "
            f"give {open_set.false_events.false_events_per_hour:.1f} false events an hour, in {open_set.false_events.hours:.2f} h; "
            f"{open_set.silent:.0%} of their clips give none."
        )
    figures.append(
        f"The scores were brought to the temperature {report.temperature:.2f} on the same folds; their expected calibration error is "
        f"{report.pooled.calibration_error:.3f}."
    )
    alarms = [_alarms(report)] if report.dataset.untrimmed else []
    return "\n\n".join([" ".join(figures), *alarms, *([_thresholds(report)] if report.tuned else [])])


def _curve(report: TrainingReport) -> str:
    """The operating curve."""
    where = "that meet no activity" if report.dataset.untrimmed else "where nothing goes on"
    told = (
        "With the odds of all thresholds multiplied by 1/27 to 27, all folds together; `--sensitivity low`, `normal` and `high` of `watch` are three "
        f"of these settings. `enter` is that of most labels; false events are those {where}, and there are no more of them than `at most`, with "
        f"{CONFIDENCE:.0%} confidence, as far as video of these hours can show:"
    )
    return f"## Operating curve\n\n{told}\n\n{_table(list(COLUMNS), report.curve)}"


def _has_sources(report: TrainingReport) -> bool:
    return len(report.plan.background_videos) > 1 and report.plan.split == "groups"


def rates_section(rates: Sequence[RateFigures]) -> list[str]:
    """What becomes of the events where frames are missing; nothing where that was not measured."""
    if not rates:
        return []
    rows = [(each.rate, f"{each.num_found} of {each.num}", f"{each.num_false} in {each.hours:.2f} h", f"{each.false_per_hour:.1f}") for each in rates]
    told = "With fewer frames, all folds together; where there are fewer still, there is no prediction:"
    return [f"## Rates\n\n{told}\n\n" + _table(["frames", "activities with their event", "false events", "false an hour"], rows)]


def _alarms(report: TrainingReport) -> str:
    rows = [
        (
            label,
            f"{alarm.num_found} of {alarm.num}",
            ", ".join(f"{fold.alarms[label].num_found}/{fold.alarms[label].num}" for fold in report.folds),
            f"{alarm.num_false} in {alarm.hours:.2f} h",
            f"{alarm.false_per_hour:.1f}",
        )
        for label, alarm in report.pooled.alarms.items()
    ]
    within_s, labels = report.pooled.within_s, report.plan.thresholds.labels
    waiting = [f"`{label}` for {labels[label].min_s:g} s" for label in report.pooled.alarms if label in labels and labels[label].min_s > within_s]
    later = f" What must go on for longer counts from then, where it does ({', '.join(waiting)})." if waiting else ""
    return (
        f"As alarms: of how many segments an event was published within {within_s:g} s of their start, and how many events meet no segment of their "
        f"label.{later}\n\n{_table(['label', 'found', 'by folds', 'false', 'false an hour'], rows)}"
    )


def _chosen(report: TrainingReport) -> str:
    if report.tuned:
        return "chosen on the folds, for each fold on the others"
    threshold, smoothing_s = report.plan.thresholds.default, report.plan.smoothing_s
    return f"it ships with (enter {threshold.enter:g}, leave {threshold.leave:g}, at least {threshold.min_s:g} s, smoothing {smoothing_s:g} s)"


def _thresholds(report: TrainingReport) -> str:
    thresholds = report.plan.thresholds
    rows = [
        (label, f"{each.enter:g}", f"{each.leave:g}", f"{each.min_s:g}") for label, each in {ALL: thresholds.default, **thresholds.labels}.items()
    ]
    return (
        f"What it ships with was chosen on all folds: smoothing {report.plan.smoothing_s:g} s, and, where a label has no line of its own, one "
        f"setting for all. By the rule, no label that it knows is silent: of each at least {HEARD_SHARE:.0%} of what any setting finds "
        f"of it is found."
        f"\n\n{_table(['label', 'enter', 'leave', 'at least, s'], rows)}"
    )


def _beside(report: TrainingReport) -> list[str]:
    """The same folds by other recipes."""
    if not report.beside:
        return []
    rows = [
        (
            f"`{name}`",
            f"{found.active_clip_top1:.3f}",
            f"{found.active_window_top1:.3f}",
            f"{found.active_outcomes.right:.3f}",
            f"{found.active_outcomes.wrong:.3f}",
            f"{found.background_events.false_events_per_hour:.1f}" if found.background_events else "",
            f"{found.stream.delay_s:.1f}",
        )
        for name, found in {report.plan.recipe: report.pooled, **report.beside}.items()
    ]
    head = ["recipe", "clips right", "predictions right", "heard right", "heard wrong", "false an hour", "delay, s"]
    return [f"## Beside other heads\n\nThe same features and folds, all folds together, clips of activities:\n\n{_table(head, rows)}"]


def _head(report: TrainingReport) -> str:
    plan, head, fit = report.plan, report.plan.head, report.fit
    recipe = RECIPES[plan.recipe]
    reach = f"the last {head.window} features" if head.mode == "window" else "all features since the last gap"
    source = f"the pictures themselves (`{plan.backbone}`)" if sees_pictures(plan.backbone) else f"frozen features of `{plan.backbone}`"
    changed = [f"`{name}` {value}" for name, value in asdict(head).items() if value != getattr(recipe.head, name)]
    how = (
        f"Its weights are those of the lowest loss, with a penalty of {head.l2:g}, found in {fit.num_steps} steps."
        if fit.num_steps
        else f"Of its {len(fit.history)} epochs, number {fit.best_epoch + 1} had the lowest validation loss."
    )
    return (
        f"## Head\n\nThe recipe `{recipe.name}`: {recipe.summary[0].lower()}{recipe.summary[1:]}. It sees {source} at {plan.rate_hz:g} Hz, over "
        f"{reach}; the first prediction comes after {head.warm_up}. It has {report.num_parameters:,} parameters. {how} "
        f"The exported files give Keras' scores within "
        f"{report.difference:.1g}." + (f" Set apart from the recipe: {', '.join(changed)}." if changed else "") + f" {chosen_from(report)}"
    ).rstrip()


def _limits(report: TrainingReport) -> str:
    limits = [
        "It learned to see from these clips alone: few of them teach little." if sees_pictures(report.plan.backbone) else SEES,
        "People, rooms and cameras unlike those of the data were not measured.",
    ]
    if any(part.partition("/")[0] == "pose" or ":person" in part for part in parts_of(report.plan.backbone)):
        limits.append("It follows one person, who is seen best when it begins to look: of several people it judges one.")
    if any(part.rpartition(":")[2] in PERSONAL for part in parts_of(report.plan.backbone)):
        limits.append(
            "Each person is judged by themselves, six in a picture at most. Who is not found (in the dark, behind furniture, far away) is not "
            "judged, and who is lost for more than 1.6 s is somebody new."
        )
    if "foreground" in report.plan.backbone:
        limits.append(
            "It is for a camera that stands still. What is there from the start is taken for a part of the room: somebody who was is seen badly, and "
            "leaves a ghost for a minute when he goes."
        )
    if report.plan.background is None:
        limits.append("It has no label for nothing: of anything else it may say that it is one of its labels, if seldom with a high score.")
    return "## Limits\n\n" + "\n".join(f"- {limit}" for limit in limits)


def _again(report: TrainingReport) -> str:
    command = [f"These figures again, and the bundle:\n\n    {report.plan.command}"] if report.plan.command else []
    made_with = ", ".join(f"{name} {version(name)}" for name in MADE_WITH)
    machine = f"{platform.system()} {platform.machine()}"
    return "\n\n".join(["## Made with", *command, f"Seed {report.plan.seed}; Python {platform.python_version()}, {made_with}; {machine}."])


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
