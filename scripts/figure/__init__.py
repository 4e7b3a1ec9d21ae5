"""A human figure that the project renders itself, doing activities in rooms: test data and demo data that anyone can make again.

A jointed body with clothes moves by key postures and is drawn, with light and shadow, into a room seen by a camera; person, room, light, camera and
manner of moving all follow from seeds. It is no stand-in for real people: a model trained on it knows the figure and nothing else.
"""

from figure.stage import ACTIVITIES, BACKGROUND, IDLE, Act, timeline
from figure.story import render_clip, render_story

__all__ = ["ACTIVITIES", "BACKGROUND", "IDLE", "Act", "render_clip", "render_story", "timeline"]
