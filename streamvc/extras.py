"""How to install what an extra of this package needs: its own name would not do where it is on no index."""

import re
import shlex
import sys
from importlib.metadata import PackageNotFoundError, requires
from importlib.util import find_spec
from pathlib import Path


def install_command(extra: str) -> str:
    """A shell command that installs what an extra needs for this very Python, whichever folder it is run in."""
    try:
        needed = [wanted for wanted, _, marker in (line.partition(";") for line in requires("streamvc") or []) if _is_of(extra, marker)]
    except PackageNotFoundError:  # run from a checkout that was never installed
        needed = [f"{Path(__file__).parents[1]}[{extra}]"]
    pip = [sys.executable, "-m", "pip", "install"] if find_spec("pip") else ["uv", "pip", "install", "--python", sys.executable]
    return shlex.join([*pip, *map(str.strip, needed)])


def _is_of(extra: str, marker: str) -> bool:
    return re.search(rf"""\bextra == ['"]{extra}['"]""", marker) is not None
