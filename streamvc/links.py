"""Links to stills and clips."""

from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname


def existing(link: str | None) -> str | None:
    """The link; None where it is one to a file of this machine that is not there: it was never completed, or has been removed."""
    if link is None or urlsplit(link).scheme != "file":
        return link
    return link if Path(url2pathname(urlsplit(link).path)).is_file() else None
