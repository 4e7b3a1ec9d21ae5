"""A YAML file that still knows on which line each of its values stands."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from streamvc.errors import NodeError

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


def read_document(path: Path) -> Document:
    """Read a file.

    Raises:
        NodeError: It cannot be read, or is not YAML.
    """
    try:
        return parse_document(path, path.read_text(encoding="utf-8"))
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
    try:
        root = yaml.compose(text)
        data = None if root is None else yaml.constructor.construct_document(root)
        json.dumps(data, default=str, skipkeys=True)  # a value that is within itself can be written in YAML, and is a ValueError here
        return Document(path, text, data, root)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = "" if mark is None else f"{mark.line + 1}:"
        # What YAML says of a key that is there twice quotes its values: a password, perhaps.
        problem = "this key is there twice" if isinstance(error, DuplicateKeyError) else error.problem or error.context
        raise NodeError(f"{path}:{line} is not YAML: {problem}") from error
    except (YAMLError, ValueError, RecursionError) as error:
        raise NodeError(f"{path}: is not YAML: {str(error).splitlines()[0]}") from error


def find(node: Node | None, step: str | int) -> tuple[ScalarNode | None, Node | None]:
    """The node of a key (None for an item of a list) and that of its value; None for both where they are not there."""
    if isinstance(node, MappingNode):
        for key, value in node.value:
            if isinstance(key, ScalarNode) and key.value == step:
                return key, value
    if isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.value):
        return None, node.value[step]
    return None, None
