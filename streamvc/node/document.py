"""YAML files that still know on which line each of their values stands: a node's configuration, and those of cameras with a file of their own."""

import re
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode, SequenceNode

from streamvc.errors import NodeError

CAMERA_FOLDER = "cameras.d"  # beside the configuration
SUFFIXES = (".yaml", ".yml")
MAX_BYTES = 1024**2  # of a file: a thousand cameras take a quarter of it
MAX_VALUES = 200_000  # in a file, with what stands behind its aliases written out
TEXT_LENGTH = 64  # letters that count as much as a value

QUOTED = re.compile(r"""(['"])(.*?)\1""")  # in a message of YAML: a part of the file, and so of a password perhaps

# Keys whose values are names and addresses: `001`, `1e5`, `no` or `2026-11-30` are text there, whatever YAML takes them for.
TEXT_KEYS = frozenset(
    {"folder", "keys", "log", "models", "name", "node", "publish", "schedule", "secrets", "sinks", "site", "source", "substream", "timezone"}
)
NOT_TEXT = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("bool", "float", "int", "timestamp"))
TEXT = "tag:yaml.org,2002:str"

Place = tuple[str | int, ...]  # of a value: the keys and positions that lead to it


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """A file that was read.

    Attributes:
        path: Where it lies.
        text: Its text.
        data: Its values: dict, list, str, int, float, bool, None.
        root: Its nodes, with their places in the text; None where it is empty.
    """

    path: Path
    text: str
    data: Any
    root: Node | None

    def line(self, place: Place) -> int:
        """The line, from 1, of a key, of an item of a list or, where there is none at this place, of the value around it."""
        node, line = self.root, 0 if self.root is None else self.root.start_mark.line
        for step in place:
            key, node = find(node, step)
            if node is None:
                break
            line = (key or node).start_mark.line
        return line + 1


@dataclass(frozen=True, slots=True, eq=False)
class Documents:
    """All files of a configuration.

    Attributes:
        main: The configuration's own.
        cameras: Those of `cameras.d`, in the order of their names; each holds the keys of one camera.
        filled_in: The names of the variables that were filled in, by their values.
    """

    main: Document
    cameras: tuple[Document, ...] = ()
    filled_in: dict[str, str] = field(default_factory=dict)

    @property
    def num_listed(self) -> int:
        """How many cameras stand in the configuration's own file."""
        listed = self.main.data.get("cameras") if isinstance(self.main.data, dict) else None
        return len(listed) if isinstance(listed, list) else 0

    @property
    def data(self) -> Any:
        """The values, as if all stood in one file: those of `cameras.d` come last. A camera that says no name there has that of its file."""
        main = {} if self.main.data is None and self.cameras else self.main.data
        if not self.cameras or not isinstance(main, dict) or not isinstance(main.get("cameras") or [], list):
            return main
        return main | {"cameras": [*(main.get("cameras") or ()), *map(_camera, self.cameras)]}

    def find(self, place: Place) -> tuple[int, Document, Place]:
        """In which file a place of `data` is (its number and itself), and which place that is there."""
        if len(place) > 1 and place[0] == "cameras" and isinstance(place[1], int) and place[1] >= self.num_listed and self.cameras:
            number = place[1] - self.num_listed
            return number + 1, self.cameras[number], place[2:]
        return 0, self.main, place


def _camera(document: Document) -> Any:
    data = {} if document.data is None else document.data
    if not isinstance(data, dict) or data.get("name") is not None:
        return data
    return {"name": unicodedata.normalize("NFC", document.path.stem), **{key: value for key, value in data.items() if key != "name"}}


def read_documents(path: Path) -> Documents:
    """Read a configuration, and the files of cameras beside it.

    Raises:
        NodeError: One cannot be read, or is not YAML.
    """
    main = read_document(path)
    try:
        return Documents(main, tuple(map(read_document, camera_files(path))))
    except OSError as error:
        raise NodeError(f"{path.parent / CAMERA_FOLDER}: cannot be read: {error.strerror}") from error


def camera_files(path: Path) -> list[Path]:
    """The files of cameras that belong to a configuration, by name; none where there is no such folder. Hidden ones are left out: editors make them.

    Raises:
        OSError: The folder cannot be read.
    """
    folder = path.parent / CAMERA_FOLDER
    try:
        return sorted(file for file in folder.iterdir() if file.suffix in SUFFIXES and not file.name.startswith("."))
    except FileNotFoundError:
        return []


def read_document(path: Path) -> Document:
    """Read a file.

    Raises:
        NodeError: It cannot be read, or is not YAML.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise NodeError(f"{path}: has more than {MAX_BYTES // 1024**2} MiB; is it a configuration?")
        return parse_document(path, content.decode().replace("\r\n", "\n"))
    except OSError as error:
        raise NodeError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise NodeError(f"{path}: is not text in UTF-8") from error


def parse_document(path: Path, text: str) -> Document:
    """Parse the text of a file.

    Raises:
        NodeError: It is not YAML.
    """
    yaml = YAML(typ="safe", pure=True)
    yaml.composer.warn_double_anchors = False  # the warning quotes the file; YAML allows it
    try:
        root = yaml.compose(text)
        if root is not None and _num_values(root, {}) > MAX_VALUES:
            raise NodeError(f"{path}: its aliases stand for more than {MAX_VALUES} values")
        _keep_text(root, is_text=False, seen=set())
        data = None if root is None else yaml.constructor.construct_document(root)
        return Document(path, text, data, root)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = "" if mark is None else f"{mark.line + 1}:"
        # What YAML says of a key that is there twice quotes its values: a password, perhaps.
        problem = "this key is there twice" if isinstance(error, DuplicateKeyError) else error.problem or error.context or ""
        raise NodeError(f"{path}:{line} is not YAML: {_without_quotes(problem)}") from None
    except RecursionError:
        raise NodeError(f"{path}: has values within values too deep") from None
    except (YAMLError, ValueError, OverflowError) as error:
        raise NodeError(f"{path}: is not YAML: {_without_quotes(str(error).partition(chr(10))[0])}") from None


def _without_quotes(problem: str) -> str:
    """What YAML says is wrong, without what it quotes of the file; single signs and names of its own stay."""
    return QUOTED.sub(lambda found: found[0] if len(found[2]) < 2 or found[2].startswith("<") else "what is there", problem)


def _keep_text(node: Node | None, *, is_text: bool, seen: set[tuple[int, bool]]) -> None:
    """Take the values of some keys, alone or in a list, for the text that is written there."""
    if isinstance(node, ScalarNode) and is_text and node.tag in NOT_TEXT:
        node.tag = TEXT
    if not isinstance(node, CollectionNode) or (id(node), is_text) in seen:
        return
    seen.add((id(node), is_text))
    for part in node.value:
        key, value = part if isinstance(part, tuple) else (None, part)
        _keep_text(value, is_text=is_text if key is None else isinstance(key, ScalarNode) and key.value in TEXT_KEYS, seen=seen)


def _num_values(node: Node, known: dict[int, int]) -> int:
    """How many values a node stands for, each alias counted as what is behind it, a long text as several. Counts each node once: quick for any.

    Raises:
        ValueError: A value is within itself.
    """
    if id(node) not in known:
        known[id(node)] = 0  # until it is counted
        parts = node.value if isinstance(node, CollectionNode) else ()
        flat = [part for each in parts for part in (each if isinstance(each, tuple) else (each,))]
        length = len(node.value) if isinstance(node, ScalarNode) else 0
        known[id(node)] = 1 + length // TEXT_LENGTH + sum(_num_values(part, known) for part in flat)
    if not known[id(node)]:
        raise ValueError("a value is within itself")
    return known[id(node)]


def find(node: Node | None, step: str | int) -> tuple[ScalarNode | None, Node | None]:
    """The node of a key (None for an item of a list) and that of its value; None for both where they are not there."""
    if isinstance(node, MappingNode):
        for key, value in node.value:
            if isinstance(key, ScalarNode) and key.value == step:
                return key, value
    if isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.value):
        return None, node.value[step]
    return None, None
