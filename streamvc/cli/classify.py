"""`streamvc classify`."""

import json

import click

from streamvc.cli import options


@click.command()
@click.argument("video", type=click.Path())
@options.model
@options.runtime
@options.as_json
def classify(video: str, model: str, runtime: str | None, threads: int, as_json: bool) -> None:
    """Say what VIDEO shows: all labels with their probabilities, best first.

    The probabilities are the means over all predictions along the clip.

    \b
    Examples:
      streamvc classify clip.mp4
      streamvc classify clip.mp4 --model cctv-fight --json
    """
    from streamvc.inference.recognizer import Recognizer
    from streamvc.pipeline import classify as classify_clip

    found = classify_clip(video, Recognizer.load(model, runtime=runtime, threads=threads))
    if as_json:
        click.echo(json.dumps({"video": video, "ranking": found.ranking, "num_predictions": found.num_predictions}))
        return
    width = max(len(label) for label, _ in found.ranking)
    for label, probability in found.ranking:
        click.echo(f"{label:{width}}  {probability:6.1%}  {'█' * round(probability * 40)}".rstrip())
