"""The pictures of a comparison, each as PNG."""

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from streamvc.errors import DataError
from streamvc.extras import install_command
from streamvc.training.comparison.results import ComparisonRow, ScoreTimeline, TrainedRecipe

try:
    import matplotlib as mpl
    from matplotlib.axes import Axes
    from matplotlib.colors import LinearSegmentedColormap, to_rgba
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle
    from matplotlib.ticker import FuncFormatter, MaxNLocator
except ImportError as error:
    raise DataError(f"plots need matplotlib; install it with: {install_command('train')}") from error

Draw = Callable[[Figure], None]

DPI = 110
BLUE, ORANGE = "#3d85d9", "#e08a3c"
SHARES = LinearSegmentedColormap.from_list("shares", [to_rgba(BLUE, 0.0), to_rgba(BLUE, 1.0)])  # 0 is the page itself, be it light or dark
MARKERS = "osD^vP*Xh<>pd"
MANY_LABELS = 15  # beyond these, counts are not written into the squares of a confusion


def png(draw: Draw, width: float, height: float, dark: bool) -> bytes:
    """Draw a figure of so many inches, for a light or a dark page."""
    with _style(dark):
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=DPI, transparent=True)
    return buffer.getvalue()


@contextmanager
def _style(dark: bool) -> Iterator[None]:
    ink, line = ("#e6e6e6", "#5a5f66") if dark else ("#22262b", "#b9bec4")
    inks = dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color"), ink)
    lines = dict.fromkeys(("axes.edgecolor", "grid.color"), line)
    with mpl.rc_context({**inks, **lines, "font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False}):
        yield


def accuracy_against_cost(rows: Sequence[ComparisonRow]) -> Draw:
    """A point for each recipe: how many clips are right, and what a second of video costs."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        colours = mpl.colormaps["tab20"]  # ten strong colours, and the light one of each behind it
        for number, row in enumerate(sorted(rows, key=lambda row: -row.trained.clip_top1.mean if row.trained else 0.0)):
            if row.trained and row.cost:
                busy_ms = (row.cost.extractor_ms + row.cost.head_ms) * row.rate_hz
                top1, colour, marker = row.trained.clip_top1, colours((2 * number + number // 10) % 20), MARKERS[number % len(MARKERS)]
                axes.errorbar(
                    busy_ms, top1.mean, top1.deviation, label=row.recipe, color=colour, marker=marker, linestyle="none", elinewidth=0.8, capsize=2
                )
        axes.set_xscale("log")
        low, high = axes.get_xlim()
        axes.set_xlim(low / 1.5, high * 1.5)
        for formatter in (axes.xaxis.set_major_formatter, axes.xaxis.set_minor_formatter):
            formatter(FuncFormatter(lambda busy_ms, _: f"{busy_ms:g}" if f"{busy_ms:e}"[0] in "125" else ""))
        axes.grid(alpha=0.4)
        axes.set_xlabel("ms of one core for a second of video (features and head)")
        axes.set_ylabel("clips right")
        figure.legend(loc="outside right upper")

    return draw


def confusion(trained: TrainedRecipe) -> Draw:
    """Right labels in rows, given labels in columns."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        counts = np.array(trained.confusion)
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        axes.imshow(shares, cmap=SHARES, vmin=0, vmax=1)
        _label_ticks(axes, trained.labels)
        axes.set_xlabel("given")
        axes.set_ylabel("right")
        if len(counts) <= MANY_LABELS:
            for (i, j), num in np.ndenumerate(counts):
                axes.text(j, i, str(num), ha="center", va="center", fontsize=7, color="white" if shares[i, j] > 0.6 else None)

    return draw


def learning_curves(losses: Sequence[float], validation_losses: Sequence[float]) -> Draw:
    """Training and validation loss over epochs; the epoch that was kept is marked."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        epochs = np.arange(1, len(losses) + 1)
        axes.plot(epochs, losses, label="learned from", color=BLUE)
        axes.plot(epochs, validation_losses, label="validation", color=ORANGE)
        if len(epochs):
            kept = int(np.argmin(validation_losses))
            axes.plot(epochs[kept], validation_losses[kept], "o", color=ORANGE, label="kept")
        axes.grid(alpha=0.4)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("epoch of the last training")
        axes.set_ylabel("loss")
        axes.legend()

    return draw


def save_curves(losses: Sequence[float], validation_losses: Sequence[float], path: Path) -> None:
    """Draw learning curves into a PNG file.

    Raises:
        DataError: It cannot be written.
    """
    try:
        path.write_bytes(png(learning_curves(losses, validation_losses), 6, 4, dark=False))
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror}") from error


def timelines(labels: Sequence[str], chosen: Sequence[ScoreTimeline]) -> Draw:
    """Scores of all labels over time, one panel a clip; what the clip shows is framed."""

    def draw(figure: Figure) -> None:
        panels = figure.subplots(1, len(chosen), sharey=True, squeeze=False)[0]
        for axes, timeline in zip(panels, chosen, strict=True):
            _draw_timeline(axes, labels, timeline)

    return draw


def _draw_timeline(axes: Axes, labels: Sequence[str], timeline: ScoreTimeline) -> None:
    times = np.array(timeline.timestamps)
    half_s = (times[1] - times[0]) / 2 if len(times) > 1 else 0.1
    edges = np.append(times - half_s, times[-1] + half_s)
    axes.pcolormesh(edges, np.arange(len(labels) + 1) - 0.5, np.transpose(timeline.scores), cmap=SHARES, vmin=0, vmax=1)
    truth = labels.index(timeline.label)
    axes.add_patch(Rectangle((edges[0], truth - 0.5), edges[-1] - edges[0], 1, fill=False, color=ORANGE, linewidth=1.5, clip_on=False))
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_xlabel("s")
    axes.set_title(timeline.clip, fontsize=8)


def _label_ticks(axes: Axes, labels: Sequence[str]) -> None:
    axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right")
    axes.set_yticks(range(len(labels)), labels)
