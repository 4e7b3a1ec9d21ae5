"""Reads the file that logins of cameras are kept in: lines of `NAME=VALUE`, as systemd's `EnvironmentFile` has them."""

import os
import re
from pathlib import Path

from streamvc.errors import NodeError

LINE = re.compile(r"(?P<name>[A-Za-z_]\w*)=(?P<quote>[\"']?)(?P<value>.*)(?P=quote)")


def read_secrets(path: Path) -> dict[str, str]:
    """The values of a file by name; empty lines and those that begin with `#` or `;` are left out.

    Raises:
        NodeError: It cannot be read, others can read it too, or a line of it is something else. The text of the line is not told.
    """
    try:
        if os.name == "posix" and path.stat().st_mode & 0o007:
            raise NodeError(f"{path} can be read by others on this machine; run `chmod o= {path}`")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise NodeError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise NodeError(f"{path} is not text in UTF-8") from error
    values = {}
    for number, line in enumerate(map(str.strip, text.splitlines()), 1):
        if line and line[0] not in "#;":
            found = LINE.fullmatch(line)
            if not found:
                raise NodeError(f"{path}:{number} must be NAME=VALUE")
            values[found["name"]] = found["value"]
    return values
