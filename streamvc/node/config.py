"""Reads a node's configuration, and says of all that is wrong with it on which line it stands and what to do."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from streamvc.capture.address import MIN_PART, redact
from streamvc.errors import NodeError
from streamvc.inference.bundle import MANIFEST, list_bundles
from streamvc.node.document import Documents, Place, read_document, read_documents
from streamvc.node.secrets import read_secrets
from streamvc.node.settings import CameraConfig, Limits, ModelUse, Motion, NodeConfig, RecordingConfig, ZoneSettings
from streamvc.thresholds import Thresholds

# `${NAME}`, and `$${` where a `${` is meant.
VARIABLE = re.compile(r"\$(?:(?P<literal>\$\{)|\{(?P<name>[^{}]*)\})")

LOG_KEYS = ("publish", "keys", "insecure", "log")  # which say where the log is
OWN_KEYS = ("name", "source", "substream")  # of a camera: there can be no default of them
CAMERA_KEYS = tuple(CameraConfig.model_fields)
# What can be written where, by the last name on the way there.
KNOWN: dict[str, Sequence[str]] = {
    "": (*NodeConfig.model_fields, "defaults"),
    "defaults": [key for key in CAMERA_KEYS if key not in OWN_KEYS],
    "cameras": CAMERA_KEYS,
    "models": tuple(ModelUse.model_fields),
    "motion": tuple(Motion.model_fields),
    "recording": tuple(RecordingConfig.model_fields),
    "limits": tuple(Limits.model_fields),
    "thresholds": [field.name for field in fields(Thresholds)],
    "zones": [field.name for field in fields(ZoneSettings)],
}
MAPPING = "must be a mapping, of `key: value`"
NUMBER = "must be a number"
SWITCH = "must be true or false"
TEXT = "must be text"
WORDS = {  # for what pydantic calls a fault, with what it knows of it
    "missing": "is missing",
    "model_type": MAPPING,
    "dataclass_type": MAPPING,
    "invalid_key": "must be a word",
    "tuple_type": "must be a list",
    "too_short": "must have at least {min_length}",
    "too_long": "must have at most {max_length}",
    "string_type": TEXT,
    "string_too_short": "must not be empty",
    "string_too_long": "must have at most {max_length} letters",
    "bool_type": SWITCH,
    "bool_parsing": SWITCH,
    "float_type": NUMBER,
    "float_parsing": NUMBER,
    "finite_number": NUMBER,
    "int_type": NUMBER,
    "int_parsing": NUMBER,
    "int_from_float": "must be a whole number",
    "literal_error": "must be {expected}",
    "greater_than": "must be above {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than_equal": "must be at most {le:g}",
}
UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")
MAX_FAULTS = 100  # that are told: nobody reads more of them at a time
CONSEQUENCES = ("default_factory_not_called",)  # of other faults


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, and where."""

    place: Place
    text: str


def read_config(path: Path, environment: Mapping[str, str] = os.environ) -> NodeConfig:
    """Read a configuration.

    Args:
        path: The file; paths in it, and in the files of cameras beside it, are relative to its folder.
        environment: What `${NAME}` in it stands for, if it is not in the file of `secrets`.

    Raises:
        NodeError: It cannot be read or used, or a model is not here; names all faults with their lines, one a line.
    """
    documents = read_documents(path)
    config = interpret(documents, environment)
    require_models(documents, config)
    return config


def interpret(documents: Documents, environment: Mapping[str, str] | None) -> NodeConfig:
    """Make a configuration of its files, on whatever machine its models are; with no environment, `${NAME}` stays as it is, and all may be empty.

    Raises:
        NodeError: As for `read_config`.
    """
    given = documents.data
    if given is None and environment is None:
        given = {}
    if given is None:  # an editor may be about to write it
        raise NodeError(f"{documents.main.path}: is empty; `streamvc node --help` shows what it may hold")
    faults: list[Fault] = []
    if environment is not None:
        missing: dict[str, list[Place]] = {}
        given = _fill_in(given, _Variables({**environment, **_secrets(documents, faults)}, documents.filled_in, missing), ())
        faults += _missing_variables(missing)
    config = None
    try:
        data = _with_defaults(given, faults) if isinstance(given, dict) else given
        config = NodeConfig.model_validate(data, context={"folder": documents.main.path.parent})
    except ValidationError as error:
        faults += _faults(error)
    if faults or config is None:
        raise NodeError("\n".join(_tell(documents, faults)))
    return config


def read_log_path(path: Path, environment: Mapping[str, str] = os.environ) -> Path:
    """Where the node of a configuration keeps its log. The rest of it may be wrong: the node may run with what was there before.

    Raises:
        NodeError: It cannot be read, or the log is kept in memory alone.
    """
    documents = Documents(read_document(path))
    faults: list[Fault] = []
    given = documents.data
    given = {key: given[key] for key in LOG_KEYS if key in given} if isinstance(given, dict) else {}
    missing: dict[str, list[Place]] = {}
    given = _fill_in(given, _Variables({**environment, **_secrets(documents, [])}, documents.filled_in, missing), ())
    faults += _missing_variables(missing)
    log = None
    try:
        log = NodeConfig.model_validate(given, context={"folder": path.parent}).log
    except ValidationError as error:
        faults += _faults(error)
    if faults:
        raise NodeError("\n".join(_tell(documents, faults)))
    if log is None:
        raise NodeError(f"{path}: a node that runs from this keeps its events in memory only (`log` is null)")
    return log


def require_models(documents: Documents, config: NodeConfig) -> None:
    """Check that all models are on this machine.

    Raises:
        NodeError: Some are not; names all of them with their lines.
    """
    if faults := list(_missing_models(documents, config)):
        raise NodeError("\n".join(_tell(documents, faults)))


def _secrets(documents: Documents, faults: list[Fault]) -> dict[str, str]:
    name = documents.main.data.get("secrets") if isinstance(documents.main.data, dict) else None
    if not isinstance(name, str):
        return {}
    try:
        return read_secrets(Path(documents.main.path.parent, Path(name).expanduser()))
    except NodeError as error:
        faults.append(Fault(("secrets",), str(error)))
        return {}


def _missing_variables(missing: Mapping[str, Sequence[Place]]) -> Iterator[Fault]:
    """Each is told once, however many cameras want it, and those that are wanted together in one line."""
    together: dict[Place, list[str]] = {}
    for name, places in missing.items():
        together.setdefault(places[0], []).append(name)
    for place, names in together.items():
        num_values = len(set(missing[names[0]]))
        more = f" ({num_values} values want {'it' if len(names) == 1 else 'them'})" if num_values > 1 else ""
        what = f"is no variable {names[0] or '(without a name)'}" if len(names) == 1 else f"are no variables {', '.join(names)}"
        yield Fault(place, f"there {what} in the environment, nor in a file of `secrets`{more}")


@dataclass(frozen=True, slots=True)
class _Variables:
    """What `${NAME}` stands for; notes the names by the values that were filled in, and where those stand that are missing."""

    environment: Mapping[str, str]
    filled_in: dict[str, str]
    missing: dict[str, list[Place]]


def _fill_in(value: Any, variables: _Variables, place: Place) -> Any:
    """The value with its variables."""
    if isinstance(value, dict):
        return {key: _fill_in(part, variables, (*place, key)) for key, part in value.items()}
    if isinstance(value, list):
        return [_fill_in(part, variables, (*place, index)) for index, part in enumerate(value)]
    if not isinstance(value, str):
        return value

    def put(found: re.Match[str]) -> str:
        if found["literal"]:
            return found["literal"]
        name = found["name"]
        if name not in variables.environment:
            variables.missing.setdefault(name, []).append(place)
            return "?"
        variables.filled_in[variables.environment[name]] = name
        return variables.environment[name]

    return VARIABLE.sub(put, value)


def _with_defaults(given: dict[Any, Any], faults: list[Fault]) -> dict[Any, Any]:
    """What was given, with the defaults put into each camera. They are checked by themselves, and what is wrong in them is told once."""
    defaults = given.get("defaults") or {}
    found = list(_default_faults(defaults))
    faults += found
    wrong = {fault.place[1] for fault in found if len(fault.place) > 1}
    usable = {key: value for key, value in defaults.items() if key not in wrong} if isinstance(defaults, dict) else {}
    cameras = given.get("cameras")
    if isinstance(cameras, list):
        cameras = [_merge(usable, camera) if isinstance(camera, dict) else camera for camera in cameras]
    return {key: value for key, value in given.items() if key != "defaults"} | {"cameras": cameras}


def _default_faults(defaults: Any) -> Iterator[Fault]:
    """What is wrong with the defaults: whatever would be wrong with a camera that has them."""
    if not isinstance(defaults, dict):
        yield Fault(("defaults",), WORDS["model_type"])
        return
    for key in OWN_KEYS:
        if key in defaults:
            yield Fault(("defaults", key), "each camera needs its own; write it there")
    try:
        CameraConfig.model_validate({"models": ["any"], **defaults, "name": "any", "source": "0", "substream": None})
    except ValidationError as error:
        yield from _faults(error, ("defaults",))


def _merge(defaults: Mapping[str, Any], camera: Mapping[str, Any]) -> dict[str, Any]:
    """A camera's keys over those of `defaults`; of `thresholds`, `motion` and `zones` each key for itself."""
    merged = dict(defaults)
    for key, value in camera.items():
        other = merged.get(key)
        merged[key] = {**other, **value} if isinstance(value, dict) and isinstance(other, dict) else value
    return merged


def _missing_models(documents: Documents, config: NodeConfig) -> Iterator[Fault]:
    known = list_bundles()
    given = documents.data
    for index, camera in enumerate(config.cameras):
        above: Place = ("cameras", index) if given["cameras"][index].get("models") else ("defaults",)
        for number, use in enumerate(camera.models):
            if use.name not in known and not _is_bundle(Path(use.name)) and not VARIABLE.search(use.name):
                close = get_close_matches(use.name, known, n=1)
                advice = f"did you mean {close[0]}?" if close else f"there are {', '.join(known) or 'none'}"
                yield Fault((*above, "models", number), f"there is no model {use.name}; {advice}")


def _is_bundle(folder: Path) -> bool:
    try:
        return (folder / MANIFEST).is_file()
    except OSError:  # no folder can be called so
        return False


def _faults(error: ValidationError, above: Place = ()) -> Iterator[Fault]:
    details = [detail for detail in error.errors(include_url=False) if detail["type"] not in CONSEQUENCES][:MAX_FAULTS]
    places = [detail["loc"] for detail in details]
    for detail in details:
        place = detail["loc"]
        # A list whose items are wrong is too short: it has none that are right.
        if detail["type"] == "too_short" and any(other[: len(place)] == place for other in places if other != place):
            continue
        place = (*above, *place, *detail.get("ctx", {}).get("at", ()))
        yield Fault(place, _words(detail, place))


def _words(detail: ErrorDetails, place: Place) -> str:
    """What is wrong, in our words. Never with the text that was given: there may be a password in it."""
    if detail["type"] in UNKNOWN:
        return f"unknown key; {_advice(place)}"
    if detail["type"] not in WORDS:
        return detail["msg"].removeprefix("Value error, ")
    text = WORDS[detail["type"]].format(**detail.get("ctx", {}))
    return f"{text}, not {detail['input']}" if isinstance(detail["input"], (bool, int, float)) else text


def _advice(place: Place) -> str:
    around = next((str(step) for step in reversed(place[:-1]) if isinstance(step, str)), "")
    known = KNOWN[around]
    close = get_close_matches(str(place[-1]), known, n=1)
    return f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"


def _tell(documents: Documents, faults: Sequence[Fault]) -> list[str]:
    """A line for each fault, in the order of the files; at one place only the first, of which the others are mostly consequences."""
    first: dict[Place, Fault] = {}
    for fault in faults:
        first.setdefault(fault.place, fault)
    told = []
    for fault in islice(first.values(), MAX_FAULTS):
        number, document, place = documents.find(fault.place)
        written = _written(place)
        text = f"{written + ': ' if written else ''}{_hide(fault.text, documents.filled_in)}"
        told.append((number, document.line(place), redact(f"{document.path}:{document.line(place)}: {text}")))
    lines = [line for *_, line in sorted(told)]
    return [*lines, f"{documents.main.path}: and more of it"] if len(faults) >= MAX_FAULTS else lines


def _hide(text: str, filled_in: Mapping[str, str]) -> str:
    """A text with the names of variables in place of their values, wherever these stand: each may be a secret, in the wrong place too."""
    for value in sorted(filled_in, key=len, reverse=True):
        for form in (value, ascii(value)[1:-1], repr(value)[1:-1]):
            text = text.replace(form, f"${{{filled_in[value]}}}") if len(form) >= MIN_PART else text
    return text


def _written(place: Place) -> str:
    """A place as one would write it: `cameras[3].models[0].name`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place).removeprefix(".")
