"""Changes the text of a YAML file at one place: all else stays as it is, to the letter. Pure.

A library's round trip would join lines, move comments to their neighbours and indent anew. Here the parser only says where things stand. What an
edit brings about is for the caller to check: a text can be written in ways that this does not foresee, with anchors for instance.
"""

import re
from collections.abc import Sequence

from ruamel.yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode, SequenceNode

from streamvc.node.document import find

INDENT = 2  # of a list below its key, where there is none yet to follow
ALIAS = re.compile(r"\s*\*[^\s,\]}]+")


def add_item(text: str, root: Node | None, key: str, lines: Sequence[str]) -> str:
    """Put an item, written as a mapping in these lines, behind the last of the list `key` of the file.

    Raises:
        ValueError: The list is written in one line.
    """
    name, items = find(root, key)
    if name is None or items is None:
        text = text.rstrip("\n") + "\n\n" if text.strip() else ""
        return f"{text}{key}:\n{_item(INDENT, lines)}"
    if isinstance(items, SequenceNode) and items.value and not items.flow_style:
        begin, stop = _item_lines(text, items.value[-1])
        column = _dash(text, items.value[-1]) - _line_start(text, _dash(text, items.value[-1]))
        is_apart = len(items.value) > 1 and text[:begin].endswith("\n\n")
        return _ended(text[:stop]) + ("\n" if is_apart else "") + _item(column, lines) + text[stop:]
    if isinstance(items, SequenceNode) and items.value:
        raise ValueError
    empty = _pair_stop(text, name, items)
    head = text[: _colon(text, name) + 1] + text[empty:]  # without a `[]`
    stop = _line_stop(head, _colon(text, name))
    return _ended(head[:stop]) + _item(INDENT, lines) + head[stop:]


def drop_item(text: str, items: Node | None, index: int) -> str:
    """Remove an item of a list, with its comments: those right above it and those in it.

    Raises:
        ValueError: The list is written in one line.
    """
    if not isinstance(items, SequenceNode) or items.flow_style:
        raise ValueError
    begin, stop = _item_lines(text, items.value[index])
    before, after = text[:begin], text[stop:]
    return before + (after.removeprefix("\n") if before.endswith("\n\n") else after)


def put_value(text: str, mapping: Node | None, keys: Sequence[str], written: str) -> str:
    """Give a key of a mapping a value, and make it if it is not there; several keys lead to one within others."""
    key, value = _find(mapping, keys[0])
    if key is None or value is None:
        return _add_key(text, mapping, keys[0], _nested(keys[1:], written))
    if keys[1:] and isinstance(value, MappingNode):
        return put_value(text, value, keys[1:], written)
    stop = _pair_stop(text, key, value)
    behind = _colon(text, key) + 1
    if behind < value.start_mark.index < stop and value.start_mark.line == key.start_mark.line:
        return text[: value.start_mark.index] + _nested(keys[1:], written) + text[stop:]
    return f"{text[:behind]} {_nested(keys[1:], written)}{text[stop:]}"


def drop_key(text: str, mapping: Node | None, keys: Sequence[str]) -> str:
    """Remove a key of a mapping, and a mapping that it was the only key of; nothing where it is not there."""
    key, value = _find(mapping, keys[0])
    if key is None or value is None or not isinstance(mapping, MappingNode):
        return text
    if keys[1:] and isinstance(value, MappingNode) and (len(value.value) > 1 or _find(value, keys[1])[0] is None):
        return drop_key(text, value, keys[1:])
    pairs = _pairs(mapping)
    names = [each for each, _ in pairs]
    following = names[names.index(key) + 1].start_mark.index if key is not names[-1] else None
    stop = _pair_stop(text, key, value)
    begin = _line_start(text, key.start_mark.index)
    if not mapping.flow_style and not text[begin : key.start_mark.index].strip():  # alone on its lines
        return text[:begin] + text[_line_stop(text, stop) :]
    if following is not None:
        return text[: key.start_mark.index] + text[following:]
    begin = _pair_stop(text, *pairs[-2]) if len(names) > 1 else key.start_mark.index
    return text[:begin] + text[stop:]


def _add_key(text: str, mapping: Node | None, key: str, written: str) -> str:
    if not isinstance(mapping, MappingNode):
        raise ValueError
    pairs = _pairs(mapping)
    if mapping.flow_style:
        stop = _pair_stop(text, *pairs[-1]) if pairs else mapping.end_mark.index - 1
        return f"{text[:stop]}{', ' if pairs else ''}{key}: {written}{text[stop:]}"
    if not pairs:
        raise ValueError
    stop = _line_stop(text, _pair_stop(text, *pairs[-1]))
    return f"{_ended(text[:stop])}{' ' * pairs[0][0].start_mark.column}{key}: {written}\n{text[stop:]}"


def _pairs(mapping: MappingNode) -> list[tuple[ScalarNode, Node]]:
    """The keys and values of a mapping that stand in it, and not where it takes others from (`<<: *anchor`)."""
    begin, end = mapping.start_mark.index, mapping.end_mark.index
    return [(key, value) for key, value in mapping.value if begin <= key.start_mark.index < end]


def _find(mapping: Node | None, name: str) -> tuple[ScalarNode | None, Node | None]:
    pairs = _pairs(mapping) if isinstance(mapping, MappingNode) else []
    return next(((key, value) for key, value in pairs if key.value == name), (None, None))


def _nested(keys: Sequence[str], written: str) -> str:
    return f"{{{keys[0]}: {_nested(keys[1:], written)}}}" if keys else written


def _item(column: int, lines: Sequence[str]) -> str:
    return "".join(f"{' ' * column}{'  ' if number else '- '}{line}\n" for number, line in enumerate(lines))


def _item_lines(text: str, item: Node) -> tuple[int, int]:
    """From where to where an item of a list stands, in whole lines, with its comments."""
    dash = _dash(text, item)
    begin, stop = _line_start(text, dash), _line_stop(text, _stop(text, item))
    indent = text[begin:dash]
    while (above := _line_start(text, begin - 1)) < begin and text[above:begin].startswith(f"{indent}#"):
        begin = above
    while (below := _line_stop(text, stop)) > stop and re.match(rf"{indent} +#", text[stop:below]):
        stop = below
    return begin, stop


def _dash(text: str, item: Node) -> int:
    return text.rindex("-", 0, item.start_mark.index)


def _stop(text: str, node: Node) -> int:
    """Where a node ends. The parser's mark of a block is behind the comments that follow."""
    if isinstance(node, CollectionNode) and node.value and not node.flow_style:
        last = node.value[-1]
        return _pair_stop(text, *last) if isinstance(last, tuple) else _stop(text, last)
    return len(text[: node.end_mark.index].rstrip())


def _pair_stop(text: str, key: ScalarNode, value: Node) -> int:
    """Where the value of a key ends."""
    behind = _colon(text, key) + 1
    if alias := ALIAS.match(text, behind):
        return alias.end()
    return behind if value.start_mark.index == value.end_mark.index else _stop(text, value)  # or there is no value


def _colon(text: str, key: Node) -> int:
    return text.index(":", key.end_mark.index)


def _line_start(text: str, index: int) -> int:
    return text.rfind("\n", 0, max(index, 0)) + 1


def _line_stop(text: str, index: int) -> int:
    """Behind the end of the line."""
    newline = text.find("\n", index)
    return len(text) if newline < 0 else newline + 1


def _ended(text: str) -> str:
    return text if not text or text.endswith("\n") else text + "\n"
