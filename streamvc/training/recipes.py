"""The recipes: what can be trained. Loads no TensorFlow; a recipe names the function that builds its network."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from streamvc.errors import DataError
from streamvc.inference.manifest import Form
from streamvc.sampling import GAP_S
from streamvc.training.plan import HeadSettings, TrainingPlan

if TYPE_CHECKING:
    from streamvc.training.networks.network import HeadSpec, Network

LITE = "efficientnet-lite0-f16"


@dataclass(frozen=True, slots=True)
class Recipe:
    """A way to make a recogniser.

    Attributes:
        name: What it is called.
        summary: What it is, in a line.
        streams: How it runs live: `step`, once per frame; `window`, over the features of the last frames; `clip`, over their pictures or maps.
        network: `module:function` in `streamvc.training.networks` that builds its network.
        backbone: The extractor that it was made for; see `streamvc.inference.extractors.open_extractor`.
        rate_hz: Samples per second.
        head: Its settings.
    """

    name: str
    summary: str
    streams: Form
    network: str
    backbone: str = LITE
    rate_hz: float = 5.0
    head: HeadSettings = field(default_factory=HeadSettings)

    @property
    def sees_pictures(self) -> bool:
        """Whether its network is given pictures or maps, rather than features."""
        return self.streams == "clip" or self.network == "recurrent:lrcn"

    def build(self, spec: "HeadSpec") -> "Network":
        """Build its network, untrained. Loads TensorFlow."""
        module, function = self.network.split(":")
        build: Callable[[HeadSpec], Network] = getattr(import_module(f"streamvc.training.networks.{module}"), function)
        return build(spec)


# As a recipe of notebooks has them: features as they are, in windows of one length.
PLAIN = HeadSettings(inputs="standard", feature_dropout=0.0, partial=0.0, label_smoothing=0.0, learning_rate=1e-3, weight_decay=0.01)
# Whole networks, which see the pictures themselves.
WHOLE = replace(
    PLAIN,
    inputs="raw",
    batch=8,
    windows_per_clip=2,
    validation_windows_per_clip=3,
    stride=5,
    max_epochs=30,
    patience=6,
    augment=("flip",),
    num_variations=1,
)

_RECIPES = (
    Recipe(
        "frame-vote",
        "A 2D CNN classifies each frame; the window's scores are the mean of theirs (or their mode: --set vote=mode)",
        "step",
        "frames:vote",
        head=replace(PLAIN, training_window=1, warm_up=1, windows_per_clip=8, weight_decay=0.3),
    ),
    Recipe(
        "vgg16-frames",
        "VGG16's 7x7x512 maps, flattened and scaled to 0..1, dense layers with dropout, the mode over the frames",
        "step",
        "frames:vote",
        backbone="vgg16-map",
        head=replace(PLAIN, inputs="unit", training_window=1, warm_up=1, windows_per_clip=4, dense=(1024, 512, 256, 128), vote="mode"),
    ),
    Recipe(
        "lrcn",
        "A small 2D CNN on each picture and an LSTM behind it, trained as one network",
        "step",
        "recurrent:lrcn",
        backbone="colour:64",
        head=replace(WHOLE, units=(64,), batch=16, stride=1),
    ),
    Recipe("c3d", "A 3D convolutional network, trained as one", "clip", "clips:c3d", backbone="colour:112", head=replace(WHOLE, warm_up=8)),
    Recipe("gru", "A GRU over a frozen CNN's features and the size of their changes", "step", "recurrent:gru"),
    Recipe(
        "gru-classic",
        "The classic preset: InceptionV3's 2048 features of a clip's first 20 frames, GRU(16), GRU(8), dropout 0.4, dense 8",
        "step",
        "recurrent:gru",
        backbone="inceptionv3:center",
        rate_hz=25.0,
        head=replace(PLAIN, window=20, units=(16, 8), dense=(8,), dropout=0.4, inputs="raw", take="first", batch=32, max_epochs=60, patience=60),
    ),
    Recipe("lstm", "An LSTM over a frozen CNN's features", "step", "recurrent:lstm", head=HeadSettings(units=(48,))),
    Recipe("stacked-lstm", "Two LSTM layers over a frozen CNN's features", "step", "recurrent:lstm", head=HeadSettings(units=(48, 32))),
    Recipe("bilstm", "An LSTM that reads the window forwards and backwards", "window", "windows:bilstm", head=HeadSettings(units=(32,))),
    Recipe("cnn-lstm", "A temporal convolution on sub-sequences, an LSTM over them", "window", "windows:cnn_lstm", head=HeadSettings(units=(64, 48))),
    Recipe(
        "convlstm",
        "A convolutional LSTM over a frozen CNN's feature maps",
        "clip",
        "clips:convlstm",
        backbone="efficientnet-lite0-map",
        head=replace(WHOLE, batch=16, augment=(), warm_up=5),
    ),
    Recipe(
        "pooled",
        "Means, deviations, extremes and changes of all features of the window beside a GRU over them, for features of several parts",
        "window",
        "windows:pooled",
        backbone=f"pose+{LITE}:person:difference",
        head=HeadSettings(window=10, inputs="parts", augment=("flip",), num_variations=1),
    ),
    Recipe(
        "statistics",
        "Means, deviations, extremes and changes of all features of the window, and one linear layer: for few clips and features of several parts",
        "window",
        "windows:statistics",
        backbone="pose/2+flow",
        head=HeadSettings(
            window=10,
            inputs="parts",
            feature_dropout=0.3,
            dropout=0.3,
            learning_rate=1e-3,
            weight_decay=2.0,
            max_epochs=50,
            patience=10,
        ),
    ),
    Recipe(
        "linear",
        "Means, deviations, extremes and changes of all features of the window, and one linear layer, found exactly: which activity, and whether any",
        "window",
        "windows:linear",
        backbone="movenet+flow",
        head=HeadSettings(
            window=10,
            inputs="parts",
            feature_dropout=0.0,
            dropout=0.0,
            label_smoothing=0.0,
            l2=5e-4,
            background_weight=3.0,
            background_share=0.9,
            windows_per_clip=4,
            augment=("flip",),
            num_variations=1,
        ),
    ),
    Recipe(
        "scales",
        "Means and deviations over doubling spans of the past, for untrimmed video from a camera that stands still and looks down",
        "window",
        "windows:scales",
        backbone=f"foreground+{LITE}:foreground",
        rate_hz=2.5,
        head=HeadSettings(
            window=32,
            warm_up=2,
            inputs="parts",
            num_static=48,
            units=(96,),
            feature_dropout=0.3,
            learning_rate=2e-3,
            weight_decay=0.02,
            batch=128,
            windows_per_clip=4,
            by_length=True,
            partial=0.1,
            augment=("flip", "upend"),
            num_variations=3,
            validation_share=0.1,
            patience=12,
        ),
    ),
    Recipe("mlp", "The features of all frames of the window into an MLP", "window", "windows:mlp", head=HeadSettings(units=(64,), warm_up=8)),
    Recipe(
        "maxmin",
        "The largest and the smallest of each of VGG16's 4096 fc2 features over the window (8192), and a classifier",
        "window",
        "windows:maxmin",
        backbone="vgg16-fc2",
        head=replace(PLAIN, weight_decay=0.3),
    ),
    Recipe(
        "conv1d",
        "Causal temporal convolutions and a maximum over time (--set causal=false: both ways)",
        "step",
        "windows:conv1d",
        head=HeadSettings(units=(64, 64)),
    ),
    Recipe(
        "i3d",
        "Inflated Inception-V1 on pictures (or on flow: --backbone flow:224); --set weights=PATH takes a published Kinetics checkpoint",
        "clip",
        "clips:i3d",
        backbone="colour:224",
        rate_hz=25.0,
        head=replace(WHOLE, window=64, warm_up=32, stride=25, batch=2, windows_per_clip=1),
    ),
    Recipe(
        "i3d-rnn",
        "The features of a frozen I3D, one for each 16 frames, into a GRU",
        "step",
        "recurrent:gru",
        backbone="i3d-rgb",
        rate_hz=25.0,
        head=replace(PLAIN, window=8, warm_up=1, units=(64,)),
    ),
    Recipe(
        "i3d-mlp",
        "The features of a frozen I3D, one for each 16 frames, into an MLP",
        "window",
        "windows:mlp",
        backbone="i3d-rgb",
        rate_hz=25.0,
        head=replace(PLAIN, window=4, warm_up=1, units=(64,)),
    ),
    Recipe(
        "two-stream",
        "A CNN on pictures and one on optical flow, fused late",
        "clip",
        "clips:two_stream",
        backbone="colour+flow:112",
        rate_hz=10.0,
        head=replace(WHOLE, window=10, warm_up=5),
    ),
)
OLD_SETTINGS = {  # names that settings had in commands and cards of before, which go on working
    "learned_window": "training_window",
    "nothing_share": "background_share",
    "num_moving": "num_delta",
    "num_seen": "num_static",
    "watch": "validation",
    "watched_per_clip": "validation_windows_per_clip",
    "watched_share": "validation_share",
}
RECIPES: Mapping[str, Recipe] = {recipe.name: recipe for recipe in _RECIPES}
DEFAULT = "gru"
CANDIDATES = ("linear", "gru")  # of which `streamvc train` takes the one that is best on the folds, where none is named


def find_recipe(name: str) -> Recipe:
    """A recipe by name.

    Raises:
        DataError: There is none.
    """
    if name not in RECIPES:
        close = get_close_matches(name, RECIPES, n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        raise DataError(f"no recipe is called {name!r}: {hint}there are: {', '.join(RECIPES)}")
    return RECIPES[name]


def plan_for(
    recipe: str = DEFAULT, *, backbone: str | None = None, rate_hz: float | None = None, settings: Mapping[str, object] | None = None, **rest: Any
) -> TrainingPlan:
    """The plan of a recipe.

    Args:
        recipe: Its name.
        backbone: In place of its own.
        rate_hz: In place of its own.
        settings: Of `HeadSettings`, in place of its own; values may be text, as on a command line, and names those of `OLD_SETTINGS`.
        rest: The other fields of `TrainingPlan`.

    Raises:
        DataError: There is no such recipe, no such setting, or a value is not one for it.
    """
    found = find_recipe(recipe)
    head = _settings(found.head, settings or {})
    plan = TrainingPlan(recipe=recipe, backbone=backbone or found.backbone, rate_hz=rate_hz or found.rate_hz, head=head, **rest)
    if plan.min_rate_hz is not None and not 1 / GAP_S <= plan.min_rate_hz <= plan.rate_hz:
        raise DataError(f"the lowest rate must be from {1 / GAP_S:g} to the rate itself, {plan.rate_hz:g} frames/s, not {plan.min_rate_hz:g}")
    if "thin" in head.augment and plan.min_rate_hz is None:
        raise DataError("clips are thinned to the lowest rate that the model is for: say which with --min-rate-hz")
    return plan


def _settings(defaults: HeadSettings, changes: Mapping[str, object]) -> HeadSettings:
    changes = {OLD_SETTINGS.get(name, name): value for name, value in changes.items()}
    names = [each.name for each in fields(HeadSettings)]
    for name in changes:
        if name not in names:
            close = get_close_matches(name, names, n=1)
            hint = f"did you mean {close[0]}? " if close else ""
            raise DataError(f"no setting is called {name!r}: {hint}there are: {', '.join(names)}")
    values = {name: _read(name, value) for name, value in changes.items()}
    try:
        settings = TypeAdapter(HeadSettings).validate_python({each: values.get(each, getattr(defaults, each)) for each in names})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise DataError(f"setting {first['loc'][0]}: {first['msg']}, not {first['input']!r}") from error
    return replace(settings, warm_up=min(settings.warm_up, settings.window))


def _read(name: str, value: object) -> object:
    """A value as text, brought to what pydantic reads: lists have commas, `none` is nothing."""
    if not isinstance(value, str):
        return value
    if name in ("units", "dense", "augment"):
        return tuple(part for part in value.split(",") if part)
    return None if value == "none" else value
