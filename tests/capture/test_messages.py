import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamvc.capture.messages import (
    CaptureSettings,
    Due,
    Finished,
    Message,
    MotionSettings,
    Opened,
    Started,
    decode,
    decode_settings,
    encode,
    encode_settings,
)

MESSAGES: list[Message] = [
    Started(7),
    Opened((640, 360), (640, 360), None, "h264", True, 12.0),
    Opened((640, 360), (640, 360), 25.0, None, False, 12.0, "every", 2.0, 50),
    Due(2, None, True, 40, 1.6, 0, "pts", 12.25, 12.26, 10.65, 41, 1, 0),
    Due(None, "frozen", False, 40, 1.6, 3, "arrival", 12.25, 12.26, None, 41, 1, 0),
    Finished("died", 'killed, says "it"'),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_comes_out_as_it_went_in(message: Message) -> None:
    back = decode(encode(message))
    assert back == message
    assert hash(back) == hash(message)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"7",
        b"Quit {}",
        b"Started",
        b"Started 7",
        b"Started {}",
        b'Started {"pid": "x"}',
        b'Started {"pid": 7',
        b'Opened {"size": [1]}',
        b"\xff {}",
    ],
)
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="no message"):
        decode(data)


@given(st.binary(max_size=50))
def test_nothing_else_can_come_of_any_bytes(data: bytes) -> None:
    with pytest.raises(ValueError, match="no message"):
        decode(data)


def test_settings_come_out_as_they_went_in() -> None:
    triangle = ((0.1, 0.2), (0.9, 0.2), (0.5, 1.0))
    settings = CaptureSettings(
        "yard",
        "rtsp://me:s3cret@host/a",
        (5.0, 8.0),
        include=(triangle,),
        exclude=(triangle, triangle),
        motion=MotionSettings(False, 0.1),
        play="unpaced",
    )
    assert decode_settings(encode_settings(settings)) == settings


def test_settings_do_not_show_the_password() -> None:
    assert "s3cret" not in repr(CaptureSettings("yard", "rtsp://me:s3cret@host/a", (5.0,)))
