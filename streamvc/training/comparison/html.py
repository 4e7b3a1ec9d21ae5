"""A comparison as one HTML file that needs nothing else: the table and the pictures, for light and dark screens."""

from base64 import b64encode
from html import escape
from string import Template

from streamvc.training.comparison import plots
from streamvc.training.comparison.results import COLUMNS, Comparison, ComparisonRow, TrainedRecipe, cells, headline

NUM_TIMELINES = 4
PAGE = Template("""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Recipes compared on $data</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; color: #22262b; background: #fff }
h2 { margin-top: 3rem; border-top: 1px solid #d5d9de; padding-top: 1rem }
.wide { overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 13px; white-space: nowrap }
th, td { padding: .3rem .6rem; text-align: right; border-bottom: 1px solid #d5d9de }
th { vertical-align: bottom; white-space: normal }
th:first-child, td:first-child { text-align: left; position: sticky; left: 0; background: #fff }
img { max-width: 100%; height: auto; vertical-align: top }
a { color: #1f6fc4 }
@media (prefers-color-scheme: dark) {
  body, th:first-child, td:first-child { color: #e6e6e6; background: #15181c }
  h2, th, td { border-color: #3a3f46 }
  a { color: #7db7f5 }
}
</style>
<h1>Recipes compared on $data</h1>
<p>$headline</p>
<div class="wide">
$table
</div>
$sections
</html>
""")


def page(comparison: Comparison) -> str:
    """The page, whole."""
    sections = []
    if any(row.trained and row.cost for row in comparison.rows):
        sections.append(f"<h2>Accuracy against cost</h2>\n{_picture(plots.accuracy_against_cost(comparison.rows), 9, 4.5, 'accuracy against cost')}")
    sections += [_section(row) for row in comparison.rows]
    return PAGE.substitute(
        data=escape(comparison.data), headline=escape(headline(comparison)), table=_table(comparison), sections="\n".join(sections)
    )


def _table(comparison: Comparison) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in COLUMNS)
    rows = []
    for row in comparison.rows:
        name, *figures = map(escape, cells(row))
        rows.append(f'<tr><td><a href="#{name}">{name}</a></td>{"".join(f"<td>{figure}</td>" for figure in figures)}</tr>')
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{chr(10).join(rows)}\n</tbody>\n</table>"


def _section(row: ComparisonRow) -> str:
    heading = f'<h2 id="{escape(row.recipe)}">{escape(row.recipe)}</h2>'
    if row.trained is None:
        return f"{heading}\n<p>Not measured: {escape(row.error or 'no reason given')}</p>"
    return f"{heading}\n{_pictures(row.trained)}"


def _pictures(trained: TrainedRecipe) -> str:
    side = 2.5 + 0.32 * len(trained.labels)
    pictures = [
        _picture(plots.confusion(trained), side, side, "confusion of whole clips, all folds"),
        _picture(plots.learning_curves(trained.losses, trained.validation_losses), 4.8, 3.2, "learning curves"),
    ]
    step = max(1, -(-len(trained.timelines) // NUM_TIMELINES))
    if chosen := trained.timelines[::step]:
        drawing = plots.timelines(trained.labels, chosen)
        pictures.append(
            _picture(drawing, 2 + 2.2 * len(chosen), 1.2 + 0.22 * len(trained.labels), "scores over time of clips that were not learned from")
        )
    return "\n".join(pictures)


def _picture(draw: plots.Draw, width: float, height: float, alt: str) -> str:
    light, dark = (f"data:image/png;base64,{b64encode(plots.png(draw, width, height, is_dark)).decode()}" for is_dark in (False, True))
    return f'<picture><source media="(prefers-color-scheme: dark)" srcset="{dark}"><img src="{light}" alt="{escape(alt)}"></picture>'
