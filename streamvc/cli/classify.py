"""`streamvc classify`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from streamvc.cli import options

if TYPE_CHECKING:
    from streamvc.classification import Classification
    from streamvc.inference.recognizer import Recognizer


@click.command()
@click.argument("video", type=click.Path())
@options.model
@click.option("--gif", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Write the clip to this GIF, small and captioned.")
@options.runtime
@options.as_json
def classify(video: str, model: str, gif: Path | None, runtime: str | None, threads: int, as_json: bool) -> None:
    """Say what VIDEO shows: all labels with their probabilities, best first.

    The probabilities are the means over all predictions along the clip. In the GIF they are those up to each frame.

    \b
    Examples:
      streamvc classify clip.mp4
      streamvc classify clip.mp4 --gif clip.gif
      streamvc classify clip.mp4 --model cctv-fight --json
    """
    from streamvc.inference.recognizer import Recognizer

    found = _classify(video, Recognizer.load(model, runtime=runtime, threads=threads), gif)
    if as_json:
        click.echo(json.dumps({"video": video, "ranking": found.ranking, "num_predictions": found.num_predictions}))
        return
    width = max(len(label) for label, _ in found.ranking)
    for label, probability in found.ranking:
        click.echo(f"{label:{width}}  {probability:6.1%}  {'█' * round(probability * 40)}".rstrip())


def _classify(video: str, recognizer: "Recognizer", gif: Path | None) -> "Classification":
    from streamvc.classification import classify as classify_clip
    from streamvc.view.gif import CaptionedGif

    if gif is None:
        return classify_clip(video, recognizer)
    with CaptionedGif(gif) as writer:
        return classify_clip(video, recognizer, lambda frame, found: writer.show(frame.image, frame.timestamp, found.ranking))
