import json
import logging

import pytest

from streamvc.node import logs

logger = logging.getLogger("streamvc.node.test")


def printed(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().err.splitlines()


def test_a_line_of_json_says_what_of_which_camera(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(logging.INFO, as_json=True)
    logger.warning('%s: "lost"', "rtsp://root:secret@192.0.2.7/stream", extra={"camera": "yard"})
    logger.debug("not asked for")
    (line,) = printed(capsys)
    entry = json.loads(line)
    assert entry.pop("time").endswith("Z")
    assert entry == {"level": "WARNING", "logger": "streamvc.node.test", "message": 'rtsp://***@192.0.2.7/stream: "lost"', "camera": "yard"}


def test_an_exception_is_one_line_too(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(logging.INFO, as_json=True)
    try:
        raise ValueError("cannot open rtsp://root:secret@192.0.2.7")
    except ValueError:
        logger.exception("it failed")
    (line,) = printed(capsys)
    assert "cannot open rtsp://***@192.0.2.7" in json.loads(line)["traceback"]


def test_lines_for_people_have_no_logins_either(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(logging.INFO, as_json=False)
    logger.error("cannot open %s", "rtsp://root:secret@192.0.2.7/stream")
    (line,) = printed(capsys)
    assert line.endswith("ERROR streamvc.node.test: cannot open rtsp://***@192.0.2.7/stream")
