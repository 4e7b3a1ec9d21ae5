"""What a node logs: lines for people, or JSON for programs. No login of a URL is in either, whoever logged it."""

import json
import logging
import sys
from datetime import UTC, datetime

from streamvc.capture.address import redact
from streamvc.text import printable

TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def configure(level: int, *, as_json: bool, force: bool = True) -> None:
    """Log to standard error what is at least at `level`, in place of what was set up before; without `force`, only where nothing was."""
    output = logging.StreamHandler(sys.stderr)
    output.setFormatter(JsonLines() if as_json else Lines(TEXT))
    logging.basicConfig(level=level, handlers=[output], force=force)


class Lines(logging.Formatter):
    """As usual, without logins, and without what a terminal obeys."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(redact(super().format(record)), lines=True)


class JsonLines(logging.Formatter):
    """An object a line: `time` (UTC), `level`, `logger`, `message`; `camera` where it is about one, `traceback` where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        entry = {"time": moment.replace("+00:00", "Z"), "level": record.levelname, "logger": record.name, "message": redact(record.getMessage())}
        camera = getattr(record, "camera", None)  # given as `extra={"camera": name}`
        if camera is not None:
            entry["camera"] = camera
        if record.exc_info:
            entry["traceback"] = redact(self.formatException(record.exc_info))
        return json.dumps(entry, ensure_ascii=False)
