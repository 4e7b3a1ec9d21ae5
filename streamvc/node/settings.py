"""What a node is configured by: values that are checked, and never change."""

import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from types import NoneType
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from streamvc.capture.stream import Decode
from streamvc.capture.zones import Zones
from streamvc.errors import PublishError
from streamvc.inference.bundle import activities
from streamvc.inference.manifest import Count, Positive, Seconds, Share
from streamvc.node.fields import HTTP, Beside, CameraName, CheckedPolygon, HttpAddress, ModelName, RuleText, SourceText, ZoneName, split_http
from streamvc.node.timetable import Timetable
from streamvc.publish.log import default_log
from streamvc.publish.sockets import ENDPOINT, OFFSETS, is_public
from streamvc.recording import RecordingSettings
from streamvc.thresholds import Thresholds

Priority = Literal["high", "normal", "low"]
RuntimeName = Literal["litert", "tflite-runtime", "tensorflow"]

LEAST_FPS, MAX_FPS = 0.1, 1000.0
MIN_RATE_HZ = 2.0  # below it the sampler would take the time between two frames for a gap


class Settings(BaseModel):
    """A part of a configuration: immutable, and a key that it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _leave_out_empty(cls, given: Any) -> Any:
        """A key without a value (`sinks:`, with all below it commented out) counts as not given, unless nothing is a value of it."""
        if not isinstance(given, dict):
            return given
        return {key: value for key, value in given.items() if value is not None or not _is_needed(cls, key)}


def _is_needed(settings: type[BaseModel], key: str) -> bool:
    return key in settings.model_fields and NoneType not in get_args(settings.model_fields[key].annotation)


@dataclass(frozen=True, slots=True)
class ZoneSettings(Zones):
    """`Zones`, checked."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    include: tuple[CheckedPolygon, ...] = ()
    exclude: tuple[CheckedPolygon, ...] = ()

    def __post_init__(self) -> None:
        mask = self.mask(90, 160)
        if mask is not None and not mask.any():
            raise ValueError("these zones leave nothing to look at")


class ModelUse(Settings):
    """A model that watches a camera, and what it is told there in place of its own settings; written as its name where there is nothing to tell."""

    name: ModelName
    thresholds: Thresholds = Thresholds()

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, given: Any) -> Any:
        return {"name": given} if isinstance(given, str) else given


class Motion(Settings):
    """When a picture need not be analysed, because nothing moves in it.

    Attributes:
        gate: Whether that is looked at, at all.
        sensitivity: 0 hardly sees a thing move, 1 is woken by noise.
        settle_s: It is still when nothing has moved for so many seconds.
        keep_alive_s: So often a picture is analysed all the same.
        rest: While it is still, keyframes alone are decoded, and what is larger than usual.
    """

    gate: bool = True
    sensitivity: Share = 0.5
    settle_s: Seconds = 1.0
    keep_alive_s: Positive = 2.0
    rest: bool = False


class CameraConfig(Settings):
    """A camera, and how it is watched.

    Attributes:
        name: In events and topics.
        source: All that `streamvc watch` takes.
        substream: Is analysed in its place, where given: the camera's smaller stream, for instance.
        enabled: Whether it is watched at all.
        thresholds: In place of its models' own; each model may have others again.
        models: What watches it; one model at least. Their thresholds are complete: the camera's are in them.
        rate_hz: Frames/s that are analysed, at most; as many as the models want if None.
        fps: Images/s, of a folder of images or of a still image that is asked for over HTTP; the default of `open_source` if None.
        priority: Who is served first where there is too much to do.
        zones: Which parts of the picture are looked at.
        schedule: When it is watched; always, where there are no rules. See `Timetable.parse`.
        timezone: Of these times; this machine's if None.
        motion: When a picture need not be analysed.
        frozen_s: A picture that has not changed in the least for so many seconds is a fault; 0 to allow it.
        decode: `all` pictures; only those that others are made from (`reference`), or only `keyframes`.
        open_timeout_s: Seconds until it must have been connected to, and read from.
        read_timeout_s: Seconds of silence until it is given up and connected to anew.
        loop: A recording begins again at its end.
    """

    name: CameraName
    source: SourceText = Field(repr=False)
    substream: SourceText | None = Field(default=None, repr=False)
    enabled: bool = True
    thresholds: Thresholds = Thresholds()
    models: tuple[ModelUse, ...] = Field(min_length=1)
    rate_hz: Annotated[float, Field(ge=MIN_RATE_HZ, allow_inf_nan=False)] | None = None
    fps: Annotated[float, Field(ge=LEAST_FPS, le=MAX_FPS)] | None = None
    priority: Priority = "normal"
    zones: ZoneSettings = ZoneSettings()
    schedule: tuple[RuleText, ...] = ()
    timezone: ZoneName | None = None
    motion: Motion = Motion()
    frozen_s: Seconds = 30.0
    decode: Decode = "all"
    open_timeout_s: Positive = 10.0
    read_timeout_s: Positive = 5.0
    loop: bool = False

    @property
    def address(self) -> str:
        """What is read: a camera's number, a path or a URL, this with its password."""
        return self.substream or self.source

    @property
    def untuned(self) -> "CameraConfig":
        """The same without any thresholds: what a change of them leaves as it is."""
        models = tuple(use.model_copy(update={"thresholds": Thresholds()}) for use in self.models)
        return self.model_copy(update={"thresholds": Thresholds(), "models": models})

    @property
    def labels(self) -> tuple[str, ...]:
        """The activities that its models know.

        Raises:
            BundleError: A model is not there.
        """
        return tuple(dict.fromkeys(label for use in self.models for label in activities(use.name)))

    @property
    def timetable(self) -> Timetable:
        """When it is watched."""
        return Timetable.parse(self.schedule, self.timezone)

    @field_validator("models")
    @classmethod
    def _complete(cls, models: tuple[ModelUse, ...], info: ValidationInfo) -> tuple[ModelUse, ...]:
        _refuse_doubles([use.name for use in models])
        ours = info.data.get("thresholds", Thresholds())
        return tuple(use.model_copy(update={"thresholds": use.thresholds.over(ours)}) for use in models)


class RecordingConfig(Settings):
    """What is recorded of events, and for how long it is kept; see `RecordingSettings`."""

    folder: Beside
    clips: bool = True
    pre_roll_s: Seconds = 5.0
    post_roll_s: Seconds = 2.0
    keep_days: Positive | None = 30.0
    keep_gib: Positive | None = 10.0

    @property
    def recording(self) -> RecordingSettings:
        """In the recorder's terms."""
        keep_s = None if self.keep_days is None else self.keep_days * 86400
        keep_bytes = None if self.keep_gib is None else round(self.keep_gib * 2**30)
        return RecordingSettings(self.folder, self.clips, self.pre_roll_s, self.post_roll_s, keep_s, keep_bytes)


class Limits(Settings):
    """What a node may use.

    Attributes:
        workers: Inference threads; a camera stays with one of them. On TensorFlow, what they have to run at a time is run together.
        threads: Of the runtime, in each.
        runtime: The first that is installed if None.
        staleness_s: A frame that is older is never analysed.
        connecting: Cameras that may be connecting at the same time.
    """

    workers: Count = 1
    threads: Count = 1
    runtime: RuntimeName | None = None
    staleness_s: Positive = 0.5
    connecting: Count = 8


class NodeConfig(Settings):
    """A node.

    Attributes:
        site: First part of topics.
        node: Its name; the machine's if not given.
        secrets: File of `NAME=VALUE` lines, in which `${NAME}` is looked up before the environment; it is read whenever the configuration is.
        keys: Folder of keys of those who may subscribe.
        insecure: Other machines may subscribe without a key.
        publish: ZeroMQ endpoint of the events.
        log: What is published is kept there; None for in memory alone.
        http: `HOST:PORT` of metrics, health and status; None for nowhere.
        http_hosts: By which other names it is asked for there, as that of a proxy.
        sinks: Where else events are delivered to.
        recording: Stills and clips of events; None for none.
        limits: What it may use.
        cameras: No two of one name.
    """

    site: Annotated[str, Field(min_length=1)] = "site"
    node: Annotated[str, Field(min_length=1)] = Field(default_factory=socket.gethostname)
    secrets: Beside | None = None
    keys: Beside | None = None
    insecure: bool = False
    publish: str = ENDPOINT
    log: Beside | None = Field(default_factory=lambda given: default_log(given["publish"]))
    http: HttpAddress | None = HTTP
    http_hosts: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    sinks: tuple[Annotated[str, Field(min_length=1)], ...] = Field(default=(), repr=False)
    recording: RecordingConfig | None = None
    limits: Limits = Limits()
    cameras: tuple[CameraConfig, ...] = ()

    @field_validator("publish")
    @classmethod
    def _check_endpoint(cls, endpoint: str, info: ValidationInfo) -> str:
        try:
            exposed = is_public(endpoint) and not info.data.get("keys") and not info.data.get("insecure")
        except PublishError as error:
            raise ValueError(str(error)) from error
        if exposed:
            raise ValueError(f"other machines could read the events on {endpoint}; name a folder of `keys`, or say `insecure: true`")
        return endpoint

    @field_validator("http")
    @classmethod
    def _check_port(cls, address: str | None, info: ValidationInfo) -> str | None:
        published = re.fullmatch(r"tcp://.*:(\d+)", info.data.get("publish", ""))
        if address and published and 0 <= split_http(address)[1] - int(published[1]) <= max(OFFSETS.values()):
            raise ValueError(f"{address}: this port belongs to `publish`, which takes {published[1]} and the next two; choose another")
        return address

    @field_validator("cameras")
    @classmethod
    def _check_names(cls, cameras: tuple[CameraConfig, ...], info: ValidationInfo) -> tuple[CameraConfig, ...]:
        # What concerns the node as a whole is told of a camera of its name.
        _refuse_doubles([camera.name for camera in cameras], "name", taken=info.data.get("node"))
        return cameras


def _refuse_doubles(names: Sequence[str], *key: str, taken: str | None = None) -> None:
    """Refuse a name that is taken or has been there before; the error says `at` which place below the list's own it is."""
    for index, name in enumerate(names):
        if name == taken:
            raise PydanticCustomError("taken", "{name} is the name of the node; a camera needs another", {"name": name, "at": (index, *key)})
        if name in names[:index]:
            raise PydanticCustomError("double", "{name} was named before; there can be one of a name", {"name": name, "at": (index, *key)})
