from pathlib import Path
from typing import Literal
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamvc.capture import address
from streamvc.capture.address import redact
from streamvc.errors import SourceError


@pytest.mark.parametrize(
    ("source", "kind", "name"),
    [
        (0, "camera", "camera 0"),
        ("2", "camera", "camera 2"),
        ("/dev/video3", "camera", "camera 3"),
        ("rtsp://cam.local:554/main", "url", "rtsp://cam.local:554/main"),
        ("RTSP://cam.local/main", "url", "RTSP://cam.local/main"),
        ("udp://0.0.0.0:5000", "url", "udp://0.0.0.0:5000"),
    ],
)
def test_what_a_word_means(source: str | int, kind: str, name: str) -> None:
    found = address.find(source)
    assert (found.kind, found.name) == (kind, name)


def test_paths(tmp_path: Path) -> None:
    file = tmp_path / "7"  # a number, but with its folder
    file.write_bytes(b"x")
    assert address.find(file).kind == "file"
    assert address.find(f"file://{file}").kind == "file"
    assert address.find(tmp_path).kind == "images"


@pytest.mark.parametrize("source", ["", "nowhere.mp4", "gopher://host/clip"])
def test_what_means_nothing(source: str) -> None:
    with pytest.raises(SourceError):
        address.find(source)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://admin:s3cret@10.0.0.7:554/h264", "rtsp://***@10.0.0.7:554/h264"),
        ("rtsp://admin:p@ss:w@10.0.0.7/h264", "rtsp://***@10.0.0.7/h264"),
        ("rtsp://admin:se/cr?et@10.0.0.7/h264", "rtsp://***@10.0.0.7/h264"),
        ("http://10.0.0.7/video.cgi?user=admin&pwd=s3cret&ch=1", "http://10.0.0.7/video.cgi?user=admin&pwd=***&ch=1"),
        ("rtsp://10.0.0.7/user=admin_password=s3cret_channel=1.sdp", "rtsp://10.0.0.7/user=admin_password=***"),
        ("https://host/live.m3u8?access_token=s3cret", "https://host/live.m3u8?access_token=***"),
        ("http://host:8080/@home/live", "http://***@home/live"),  # or is `8080/` a password?
        ("http://10.0.0.7:8080/@home/live", "http://10.0.0.7:8080/@home/live"),
        ("rtsp://host:554/cam@2", "rtsp://host:554/cam@2"),
        ("http://host/plain", "http://host/plain"),
        ("http://host/?pwd=s3 cret: refused", "http://host/?pwd=***: refused"),
    ],
)
def test_secrets_are_hidden(url: str, shown: str) -> None:
    assert redact(url) == shown
    assert redact(redact(url)) == shown


@given(st.text(st.characters(categories=["L", "N"]), min_size=4), st.sampled_from("@/?#:&% "))
def test_no_password_is_shown_whatever_is_in_it(letters: str, odd: str) -> None:
    password = f"XYZZY{letters}{odd}PLUGH{letters}"
    shown = redact(f"no answer from rtsp://admin:{password}@10.0.0.7:554/main")
    assert "XYZZY" not in shown
    assert "PLUGH" not in shown
    assert shown.endswith("10.0.0.7:554/main")


def test_errors_hide_them_too() -> None:
    with pytest.raises(SourceError) as caught:
        address.find("gopher://admin:s3cret@host/clip")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(("typed", "written"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_a_file_is_found_however_the_accents_of_its_name_are_typed(
    tmp_path: Path, typed: Literal["NFC", "NFD"], written: Literal["NFC", "NFD"]
) -> None:
    (tmp_path / normalize(written, "Übung.mp4")).write_bytes(b"x")
    assert address.find(tmp_path / normalize(typed, "Übung.mp4")).location == str(tmp_path / normalize(written, "Übung.mp4"))
