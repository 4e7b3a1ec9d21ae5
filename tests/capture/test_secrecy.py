"""No secret of a URL is shown, whatever it is made of and wherever it stands: words that are found nowhere else are put into it, and looked for."""

import json
import string
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamvc.capture.address import camera_name, origin, redact

HOSTS = ("10.0.0.7", "10.0.0.7:554", "cam", "cam:8554", "nvr.example.org", "nvr.example.org:554", "[2001:db8::7]", "[::1]:554", "localhost:554")
NAMES = ("loginpas", "pw", "p", "pass", "pwd", "password", "token", "auth", "key", "sig", "x", "user_pass", "q", "X-Amz-Signature", "sid", "login")

odd = st.text(st.sampled_from(string.punctuation + " é日\N{NO-BREAK SPACE}0123456789"), max_size=4)
word = st.text(st.sampled_from("abcdefgABCDEFG0123456789ßü日本語"), min_size=4, max_size=10).map(lambda letters: f"ZQ{letters}")
hosts = st.sampled_from(HOSTS)


@st.composite
def secrets(draw: st.DrawFn) -> tuple[str, list[str]]:
    """A password, and the words in it."""
    words = draw(st.lists(word, min_size=1, max_size=3))
    return draw(odd) + "".join(each + draw(odd) for each in words), words


def is_hidden(words: list[str], *texts: str) -> bool:
    return not any(form in text for each in words for form in (each, quote(each)) for text in texts)


CONTEXTS: tuple[Callable[[str], str], ...] = (
    lambda url: url,
    lambda url: f"cannot open {url}: refused (401)",
    lambda url: f"{url}: it is lost; {url} is tried again",
    repr,
    lambda url: json.dumps({"source": url, "state": "lost"}, ensure_ascii=False),
    lambda url: f'Traceback (most recent call last):\n  File "x.py", line 3\nValueError: {url} is no URL\n',
)
contexts = st.sampled_from(CONTEXTS)
LOGINS = (
    "rtsp://admin:{}@{}/main",
    "rtsp://{}@{}/main",
    "http://Büro:{}@{}/snap.jpg?channel=1",
    "mqtt://me:{}@{}/house",
    "rtsp://:{}@{}",
    "tcp://a:{}@{}/",
)


@given(secret=secrets(), host=hosts, form=st.sampled_from(LOGINS), context=contexts, escaped=st.booleans())
def test_no_part_of_a_login_is_shown(secret: tuple[str, list[str]], host: str, form: str, context: Callable[[str], str], *, escaped: bool) -> None:
    password, words = secret
    url = form.format(quote(password, safe="") if escaped else password, host)
    shown = redact(context(url))
    assert is_hidden(words, shown, redact(shown), camera_name(url), origin(url))
    assert host in origin(url)
    if escaped or context is CONTEXTS[0]:
        assert host in shown


@given(secrets(), hosts, st.sampled_from(NAMES), contexts)
def test_no_value_of_a_parameter_is_shown_that_is_not_known_to_be_harmless(
    secret: tuple[str, list[str]], host: str, name: str, context: Callable[[str], str]
) -> None:
    password, words = secret
    value = quote(password, safe="")
    for url in (
        f"http://{host}/video.cgi?channel=2&{name}={value}&subtype=1",
        f"http://{host}/video.cgi?{name}={value}",
        f"rtsp://{host}/user=admin&{name}={value}&stream=0.sdp",
        f"https://{host}/hook#{name}={value}",
    ):
        assert is_hidden(words, redact(context(url)), camera_name(url), origin(url))
    assert redact(f"http://{host}/cam?channel=2&{name}={value}&subtype=1") == f"http://{host}/cam?channel=2&{name}=***&subtype=1"


tokens = st.one_of(
    st.text("0123456789abcdef", min_size=16, max_size=64),
    st.text(string.ascii_letters + string.digits, min_size=16, max_size=40),
    st.uuids().map(str),
    st.builds("{}:{}".format, st.text(string.ascii_letters, min_size=3), st.text(string.ascii_letters, min_size=3)),
).filter(lambda token: (any(sign.isdigit() for sign in token) and any(sign.isalpha() for sign in token)) or ":" in token)


@given(tokens, hosts, contexts)
def test_no_token_in_a_path_is_shown(token: str, host: str, context: Callable[[str], str]) -> None:
    for url in (f"rtsp://{host}/{token}", f"https://{host}/live/{token}/index.m3u8", f"http://{host}/{token}?channel=1"):
        assert token not in redact(context(url))


@given(secrets())
def test_no_header_and_no_setting_of_a_secret_is_shown(secret: tuple[str, list[str]]) -> None:
    password, words = secret
    for text in (
        f"Authorization: Basic {password}",
        f"{{'Cookie': {password!r}}}",
        f"x-api-key: {password}",
        f"password={quote(password)} was refused",
        json.dumps({"password": password.replace('"', "")}, ensure_ascii=False),
    ):
        assert is_hidden(words, redact(text))


@given(secrets(), hosts)
def test_an_error_that_quotes_a_part_of_an_address_shows_nothing_of_it(secret: tuple[str, list[str]], host: str) -> None:
    password, words = secret
    url = f"rtsp://admin:{password}@{host}/main"
    parts = [part for part in password.replace("/", "#").replace("?", "#").replace("@", "#").replace(":", "#").split("#") if len(part) > 3]
    for text in (*parts, quote(password, safe=""), f"admin:{password}@{host}"):
        assert is_hidden(words, redact(f"Failed to resolve hostname {text}: unknown", url))


@pytest.mark.parametrize(
    "harmless",
    [
        "rtsp://10.0.0.7:554/cam/realmonitor?channel=1&subtype=0",
        "rtsp://10.0.0.7/Streaming/Channels/101: it cannot be reached",
        "rtsp://10.0.0.7/h264Preview_01_main",
        "rtsp://[::1]:8554/live.sdp",
        "rtsp://host/s: 5 frames @ 25 fps",
        "8 cameras, events on tcp://127.0.0.1:7788, status on 127.0.0.1:7791",
        "put it into a file (password_file=) or $STREAMVC_MQTT_PASSWORD",
        "node.yaml:3: secrets: must be text",
        "node.env:7 must be NAME=VALUE",
        "there is no variable CAM_PASSWORD in the environment, nor in a file of `secrets`",
    ],
)
def test_what_is_no_secret_stays(harmless: str) -> None:
    assert redact(harmless) == harmless
