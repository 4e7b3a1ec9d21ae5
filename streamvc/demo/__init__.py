"""The demo: a clip that ships with the package, through the pipeline of `watch`, to a subscriber in another process."""

from pathlib import Path

CLIP = Path(__file__).parent / "figure.mp4"
MODEL = "figure"
