"""Text that comes from elsewhere (files, cameras, other programs), and is shown to people."""

import json

JOINERS = "\u200c\u200d"  # invisible, but words and emoji are put together with them


def is_plain(text: str) -> bool:
    """Whether it holds nothing that a terminal obeys, that breaks a line, or turns its direction: no control characters, newlines, bidi overrides."""
    return text.isprintable() or all(sign.isprintable() or sign in JOINERS for sign in text)


def printable(text: str, *, lines: bool = False) -> str:
    r"""The text as it may be shown: what is not plain stands there as `\x1b`. With `lines`, newlines and tabs stay as they are."""
    if is_plain(text):
        return text
    kept = JOINERS + ("\n\t" if lines else "")
    return "".join(sign if sign.isprintable() or sign in kept else sign.encode("unicode_escape").decode() for sign in text)


def printable_json(text: str) -> str:
    r"""A line of JSON as it may be shown: what is not plain stands there as `\u009b`, which means the same."""
    return text if is_plain(text) else "".join(sign if is_plain(sign) else json.dumps(sign)[1:-1] for sign in text)
