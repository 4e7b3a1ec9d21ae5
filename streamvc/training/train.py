"""From a folder of clips to a bundle that is ready to watch."""

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamvc.errors import DataError
from streamvc.inference.backbone import Backbone
from streamvc.inference.bundle import MANIFEST, Bundle, write_bundle
from streamvc.inference.manifest import BackboneReference, BundleSettings, Thresholds
from streamvc.inference.recognizer import Recognizer
from streamvc.metrics import fit_temperature
from streamvc.training.card import card
from streamvc.training.dataset import Dataset, load_dataset
from streamvc.training.evaluate import Evaluation, judge, measure, predict
from streamvc.training.export import check_export, export_gru
from streamvc.training.features import Extraction, extract
from streamvc.training.folds import group_folds, hold_out
from streamvc.training.gru import GruSettings, train_gru
from streamvc.training.progress import Advance, silent
from streamvc.training.report import Plan, Report, Summary
from streamvc.training.windows import Floats, Ints
from streamvc.types import Prediction

WATCHED_SHARE = 1 / 6  # of the clips, in whole groups: not learned from, they tell when to stop
NUM_CHECKED = 32  # windows that the exported head is held against Keras on
