import re
import socket
from pathlib import Path
from textwrap import dedent

import pytest

from streamvc.errors import NodeError
from streamvc.node.config import interpret, read_config
from streamvc.node.document import read_documents
from streamvc.node.fields import split_http
from streamvc.node.settings import CameraConfig, NodeConfig
from streamvc.publish.log import default_log
from streamvc.thresholds import Thresholds

ROOT = Path(__file__).parents[2]


def read(folder: Path, text: str, **environment: str) -> NodeConfig:
    path = folder / "node.yaml"
    path.write_text(dedent(text))
    return interpret(read_documents(path), environment)


def faults(folder: Path, text: str, **environment: str) -> list[str]:
    """What is said of a configuration, without the folder."""
    with pytest.raises(NodeError) as caught:
        read(folder, text, **environment)
    return str(caught.value).replace(f"{folder}/", "").splitlines()


def only(folder: Path, text: str) -> CameraConfig:
    (camera,) = read(folder, text).cameras
    return camera


def test_what_is_not_said_has_its_default(tmp_path: Path) -> None:
    config = read(tmp_path, "site: shop")
    assert (config.site, config.node, config.cameras) == ("shop", socket.gethostname(), ())
    assert (config.publish, config.http) == ("tcp://127.0.0.1:7788", "127.0.0.1:7791")
    assert config.log == default_log(config.publish)
    assert read(tmp_path, "publish: tcp://127.0.0.1:9000").log == default_log("tcp://127.0.0.1:9000")
    assert config == read(tmp_path, "site: shop\nlimits:\nsinks:    # none yet\ncameras:\n")


def test_nothing_can_be_said_where_it_means_something(tmp_path: Path) -> None:
    config = read(tmp_path, "log: null\nhttp:\nrecording:\n")
    assert (config.log, config.http, config.recording) == (None, None, None)


def test_a_camera_has_the_defaults_and_its_own_over_them(tmp_path: Path) -> None:
    camera = only(
        tmp_path,
        """\
        defaults:
          models: [fight]
          rate_hz: 5
          motion: {gate: false, settle_s: 3}
          schedule: [mon-fri 8:00-18:00]
        cameras:
          - name: yard
            source: 0
            rate_hz: null
            motion: {settle_s: 2}
            schedule: []
        """,
    )
    assert (camera.source, camera.rate_hz, camera.schedule) == ("0", None, ())
    assert (camera.motion.gate, camera.motion.settle_s, camera.motion.keep_alive_s) == (False, 2.0, 2.0)
    assert [use.name for use in camera.models] == ["fight"]


def test_a_model_is_told_what_holds_for_it_over_the_camera_over_the_defaults(tmp_path: Path) -> None:
    camera = only(
        tmp_path,
        """\
        defaults: {thresholds: {enter: 0.9, min_s: 2}}
        cameras:
          - name: yard
            source: 0
            thresholds: {enter: 0.8}
            models: [fight, {name: fall, thresholds: {enter: 0.7, leave: 0.3}}]
        """,
    )
    fight, fall = camera.models
    assert (fight.thresholds.enter, fight.thresholds.leave, fight.thresholds.min_s) == (0.8, None, 2.0)
    assert (fall.thresholds.enter, fall.thresholds.leave, fall.thresholds.min_s) == (0.7, 0.3, 2.0)
    assert isinstance(fall.thresholds, Thresholds)


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    config = read(
        tmp_path,
        """\
        keys: keys
        log: logs/events.db
        recording: {folder: /var/events, keep_days: 2}
        cameras:
          - {name: a, source: a.mp4, substream: b.mp4, models: [fight, ./own, models/other]}
          - {name: b, source: "rtsp://h/x", models: [fight]}
        """,
    )
    assert (config.keys, config.log) == (tmp_path / "keys", tmp_path / "logs" / "events.db")
    assert config.recording is not None
    assert config.recording.recording.folder == Path("/var/events")
    assert config.recording.recording.keep_s == 2 * 86400
    first, second = config.cameras
    assert (first.source, first.address) == (str(tmp_path / "a.mp4"), str(tmp_path / "b.mp4"))
    assert [use.name for use in first.models] == ["fight", str(tmp_path / "own"), str(tmp_path / "models" / "other")]
    assert second.address == "rtsp://h/x"


def test_variables_are_filled_in_anywhere(tmp_path: Path) -> None:
    text = "site: ${SITE}-1\ncameras: [{name: 'a$${SITE}', source: 'rtsp://u:${P}@h/${P}$', models: [m], rate_hz: '${RATE}'}]"
    config = read(tmp_path, text, SITE="shop", P="s3cret", RATE="4")
    assert config.site == "shop-1"
    assert (config.cameras[0].name, config.cameras[0].source, config.cameras[0].rate_hz) == ("a${SITE}", "rtsp://u:s3cret@h/s3cret$", 4.0)
    assert "s3cret" not in repr(config)
    assert faults(tmp_path, text, SITE="shop") == [
        "node.yaml:2: cameras[0].rate_hz: there is no variable RATE in the environment, nor in a file of `secrets`",
        "node.yaml:2: cameras[0].source: there is no variable P in the environment, nor in a file of `secrets`",
    ]


def test_secrets_of_a_file_go_before_the_environment(tmp_path: Path) -> None:
    secrets = tmp_path / "node.env"
    secrets.write_text("# of the yard\nP='new one'\n\n; and the door\nQ=\n")
    secrets.chmod(0o640)
    text = "secrets: node.env\nsite: ${P}${Q}${R}"
    assert read(tmp_path, text, P="old", R="r").site == "new oner"
    secrets.chmod(0o644)
    assert faults(tmp_path, text, P="old", R="r")[0].startswith("node.yaml:1: secrets: node.env can be read by others")
    secrets.chmod(0o600)
    secrets.write_text("P=a\nhunter2\n")
    assert faults(tmp_path, text, P="old", Q="q", R="r") == ["node.yaml:1: secrets: node.env:2 must be NAME=VALUE"]
    secrets.unlink()
    assert "cannot be read: No such file" in faults(tmp_path, text, R="r")[0]


def test_files_that_windows_wrote_are_read(tmp_path: Path) -> None:
    secrets = tmp_path / "node.env"
    secrets.write_bytes("\ufeffP=new\r\n".encode())
    secrets.chmod(0o600)
    (tmp_path / "node.yaml").write_bytes("\ufeffsecrets: node.env\r\nsite: ${P}\r\n".encode())
    assert read_config(tmp_path / "node.yaml", {}).site == "new"


def test_all_faults_are_told_with_their_lines(tmp_path: Path) -> None:
    assert faults(
        tmp_path,
        """\
        sites: shop
        limits:
          workers: 0
          runtime: tflite
        defaults:
          models: [fight]
          rate_hz: 1
          name: any
        http: localhost
        cameras:
          - name: yard
            source: 0
            schedulle: []
            models: [{name: fight, thresholds: {entr: 1}}, ~]
          - name: door
            zones: {include: [[[0, 0], [2, 0]]]}
            thresholds: {enter: 0.2, leave: 0.5}
            timezone: Europe/Berlinn
            schedule: [mon-fry 8:00-9:00]
            enabled: perhaps
            priority: urgent
        """,
    ) == [
        "node.yaml:1: sites: unknown key; did you mean site?",
        "node.yaml:3: limits.workers: must be at least 1, not 0",
        "node.yaml:4: limits.runtime: must be 'litert', 'tflite-runtime' or 'tensorflow'",
        "node.yaml:7: defaults.rate_hz: must be at least 2, not 1",
        "node.yaml:8: defaults.name: each camera needs its own; write it there",
        "node.yaml:9: http: must be HOST:PORT, such as 127.0.0.1:7791, not 'localhost'",
        "node.yaml:13: cameras[0].schedulle: unknown key; did you mean schedule?",
        "node.yaml:14: cameras[0].models[0].thresholds.entr: unknown key; did you mean enter?",
        "node.yaml:14: cameras[0].models[1]: must be a mapping, of `key: value`",
        "node.yaml:15: cameras[1].source: is missing",
        "node.yaml:16: cameras[1].zones.include[0][1][0]: must be at most 1, not 2",
        "node.yaml:17: cameras[1].thresholds: leave (0.5) must not be above enter (0.2)",
        "node.yaml:18: cameras[1].timezone: there is no time zone 'Europe/Berlinn'; did you mean Europe/Berlin?",
        "node.yaml:19: cameras[1].schedule[0]: 'fry' is not a day; did you mean fri? they are mon, tue, wed, thu, fri, sat, sun",
        "node.yaml:20: cameras[1].enabled: must be true or false",
        "node.yaml:21: cameras[1].priority: must be 'high', 'normal' or 'low'",
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "node.yaml: is empty"),
        ("- 1", "node.yaml:1: must be a mapping"),
        ("a: [1\nb: 2", "node.yaml:2: is not YAML: expected ','"),
        ("site: a\nsite: hunter2", "node.yaml:2: is not YAML: this key is there twice"),
        ("site: *shop", "node.yaml:1: is not YAML: found undefined alias"),
        ("site: a\ncameras:\n\t- b", "node.yaml:3: is not YAML: found character"),
        ("site: &a [*a]", "node.yaml: is not YAML: a value is within itself"),
        ("insecure: 2026-99-99", "node.yaml: is not YAML: month must be"),
        ("site: \0", "node.yaml: is not YAML"),
        ("1: a", "node.yaml:1: [1]: must be a word"),
        ("cameras: 5", "node.yaml:1: cameras: must be a list, not 5"),
        ("cameras: [5]", "node.yaml:1: cameras[0]: must be a mapping, of `key: value`, not 5"),
        ("defaults: [5]", "node.yaml:1: defaults: must be a mapping"),
        ("publish: tcp://*:7788", "node.yaml:1: publish: other machines could read the events on tcp://*:7788; name a folder of `keys`"),
        ("publish: tcp://127.0.0.1:8000\nhttp: 127.0.0.1:8002", "node.yaml:2: http: 127.0.0.1:8002: this port belongs to `publish`"),
        ("publish: 7788", "node.yaml:1: publish: "),
        ("cameras: [{name: a, source: 0}]", "node.yaml:1: cameras[0].models: is missing"),
        ("cameras: [{name: a, source: 0, models: []}]", "node.yaml:1: cameras[0].models: must have at least 1"),
        ("cameras: [{name: ' a', source: 0, models: [m]}]", "node.yaml:1: cameras[0].name: must be letters"),
        ("cameras:\n- {name: a, source: 0, models: [m]}\n- {name: a, source: 1, models: [m]}", "node.yaml:3: cameras[1].name: a was named before"),
        ("node: n\ncameras: [{name: n, source: 0, models: [m]}]", "node.yaml:2: cameras[0].name: n is the name of the node"),
        ("cameras:\n- name: a\n  source: 0\n  models:\n  - m\n  - m", "node.yaml:6: cameras[0].models[1]: m was named before"),
        ("defaults: {zones: {exclude: [[[0, 0], [1, 0], [1, 1], [0, 1]]]}}", "node.yaml:1: defaults.zones: these zones leave nothing to look at"),
        (
            "cameras: [{name: a, source: 'rtsp:/u:hunter2@h/x', models: [m]}]",
            "node.yaml:1: cameras[0].source: an address is written rtsp://HOST/PATH",
        ),
        ("cameras: [{name: a, source: 'rtspp://u:hunter2@h', models: [m]}]", "node.yaml:1: cameras[0].source: there is no kind of address rtspp; "),
        ("site: '${a b}'", "node.yaml:1: site: there is no variable a b in the environment"),
    ],
)
def test_what_cannot_be_used_is_told_in_a_line(tmp_path: Path, text: str, fault: str) -> None:
    (told,) = faults(tmp_path, text)
    assert told.startswith(fault)
    assert "hunter2" not in told


def test_a_model_that_is_not_here_is_told_where_it_is_named(tmp_path: Path) -> None:
    path = tmp_path / "node.yaml"
    text = "defaults:\n  models: [figure, fal]\ncameras:\n- {name: a, source: 0}\n- {name: b, source: 0}\n- {name: c, source: 0, models: [./own]}\n"
    path.write_text(text)
    with pytest.raises(NodeError) as caught:
        read_config(path)
    first, second = str(caught.value).replace(f"{tmp_path}/", "").splitlines()
    assert first == "node.yaml:2: defaults.models[1]: there is no model fal; did you mean fall?"
    assert second.startswith("node.yaml:6: cameras[2].models[0]: there is no model own; there are ")
    (tmp_path / "own").symlink_to(ROOT / "models" / "figure")
    path.write_text(text.replace("fal]", "fall]"))
    assert [len(camera.models) for camera in read_config(path).cameras] == [2, 2, 1]


NAMES = [
    "001",
    "1e5",
    "0x1F",
    "0o17",
    "1_000",
    "1.0",
    ".5",
    "12:30",
    "2026-11-30",
    "no",
    "on",
    "yes",
    "off",
    "true",
    "False",
    "nan",
    ".inf",
    "-7",
    "null-1",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_what_is_written_whatever_yaml_takes_it_for(tmp_path: Path, name: str) -> None:
    cameras = f"- {{name: {name}, source: ./{name}, models: [{name}]}}\n- {{name: b, source: 0, models: [{{name: {name}}}]}}\n"
    config = read(tmp_path, f"site: {name}\ncameras:\n{cameras}")
    assert (config.site, config.cameras[0].name, config.cameras[0].source) == (name, name, str(tmp_path / name))
    assert [camera.models[0].name for camera in config.cameras] == [str(tmp_path / name) if name.startswith(".") else name] * 2


def test_names_are_text_behind_aliases_and_in_yaml_1_1_too(tmp_path: Path) -> None:
    text = "defaults: {models: &m [001]}\ncameras:\n- &a {name: 007, source: 0, models: *m}\n- {<<: *a, name: 1e1}\n"
    for config in (read(tmp_path, text), read(tmp_path, f"%YAML 1.1\n---\n{text}- {{name: no, source: 1}}\n")):
        assert [camera.name for camera in config.cameras][:2] == ["007", "1e1"]
        assert {camera.models[0].name for camera in config.cameras} == {"001"}
    assert config.cameras[2].name == "no"


def test_a_name_is_the_same_however_its_accents_are_written(tmp_path: Path) -> None:
    text = "cameras:\n- {name: U\u0308bung, source: 0, models: [m]}\n"
    assert read(tmp_path, text).cameras[0].name == "\u00dcbung"
    assert "named before" in faults(tmp_path, text + text.replace("cameras:\n", "").replace("U\u0308", "\u00dc"))[0]


def test_cameras_may_have_files_of_their_own(tmp_path: Path) -> None:
    folder = tmp_path / "cameras.d"
    folder.mkdir()
    (folder / "001.yaml").write_text("source: a.mp4\nmodels: [./own]\n")
    (folder / "Ku\u0308che.yml").write_text("source: rtsp://${U}@h/x\nname:\nrate_hz: 4\n")
    (folder / "b.yaml").write_text("name: yard\nsource: 1\n")
    for name in (".b.yaml", "b.yaml~", "c.txt", ".b.yaml.swp"):  # what editors leave behind
        (folder / name).write_text("name: yard\n")
    config = read(tmp_path, "defaults: {models: [fight], priority: high}\ncameras: [{name: door, source: 0}]", U="me")
    assert [camera.name for camera in config.cameras] == ["door", "001", "K\u00fcche", "yard"]
    assert [camera.source for camera in config.cameras] == ["0", str(tmp_path / "a.mp4"), "rtsp://me@h/x", "1"]
    assert [camera.models[0].name for camera in config.cameras] == ["fight", str(tmp_path / "own"), "fight", "fight"]
    assert {camera.priority for camera in config.cameras} == {"high"}
    assert len(read(tmp_path, "defaults: {models: [fight]}\ncameras:\n", U="me").cameras) == 3


def test_what_is_wrong_in_the_file_of_a_camera_is_told_with_its_line(tmp_path: Path) -> None:
    folder = tmp_path / "cameras.d"
    folder.mkdir()
    for name, text in {
        "a": "source: 0\n\nschedulle: []\nmodels: [{nam: fight}]\n",
        "b": "",
        "c": "- 1\n",
        "d": "# again\nname: door\nsource: 1",
        "e": "source: ${U}",
    }.items():
        (folder / f"{name}.yaml").write_text(text)
    text = "site: shop\ndefaults: {models: [fight]}\ncameras: [{name: door, source: 0, rate_hz: 1}]"
    assert faults(tmp_path, text) == [
        "node.yaml:3: cameras[0].rate_hz: must be at least 2, not 1",
        "cameras.d/a.yaml:3: schedulle: unknown key; did you mean schedule?",
        "cameras.d/a.yaml:4: models[0].nam: unknown key; did you mean name?",
        "cameras.d/a.yaml:4: models[0].name: is missing",
        "cameras.d/b.yaml:1: source: is missing",
        "cameras.d/c.yaml:1: must be a mapping, of `key: value`",
        "cameras.d/e.yaml:1: source: there is no variable U in the environment, nor in a file of `secrets`",
    ]
    for name in "abce":
        (folder / f"{name}.yaml").unlink()
    assert faults(tmp_path, text.replace(", rate_hz: 1", "")) == ["cameras.d/d.yaml:2: name: door was named before; there can be one of a name"]
    (folder / "d.yaml").write_text("name: yard\nsource: 1\nmodels: [fal]")
    (tmp_path / "node.yaml").write_text(text.replace("fight", "fall").replace(", rate_hz: 1", ""))
    with pytest.raises(NodeError, match=r"cameras.d/d.yaml:3: models\[0\]: there is no model fal; did you mean fall\?"):
        read_config(tmp_path / "node.yaml")
    (folder / "f.yaml").write_text("a: [1\nb: 2")
    assert faults(tmp_path, text) == ["cameras.d/f.yaml:2: is not YAML: expected ',' or ']', but got ':'"]
    (folder / "f.yaml").unlink()
    (folder / "g.yaml").symlink_to("nowhere")
    assert faults(tmp_path, text) == ["cameras.d/g.yaml: cannot be read: No such file or directory"]


def test_a_folder_of_cameras_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "cameras.d").write_text("")
    assert faults(tmp_path, "site: shop") == ["cameras.d: cannot be read: Not a directory"]


@pytest.mark.parametrize(
    "way", ["[{0}, {0}, {0}, {0}, {0}, {0}, {0}, {0}, {0}, {0}]", "{{a: {0}, b: {0}, c: {0}, d: {0}, e: {0}}}", "{{<<: [{0}, {0}, {0}, {0}]}}"]
)
def test_aliases_that_stand_for_more_than_there_is_room_for_are_refused(tmp_path: Path, way: str) -> None:
    levels = "".join(f"x{level}: &x{level} {way.format(f'*x{level - 1}')}\n" for level in range(1, 30))
    (told,) = faults(tmp_path, f"x0: &x0 {{y: 1}}\n{levels}")
    assert told == "node.yaml: its aliases stand for more than 200000 values"


def test_no_password_is_in_what_is_told(tmp_path: Path) -> None:
    told = faults(
        tmp_path,
        """\
        sinks: {a: "mqtt://u:hunter2@h"}
        cameras:
          - name: "rtsp://u:hunter2@h/x\\n"
            source: [rtsp://u:hunter2@h/x]
            models: [{name: "rtsp://u:hunter2@h/x"}, {nam: hunter2}]
            decode: rtsp://u:hunter2@h/x
        """,
    )
    assert len(told) == 6
    assert "hunter2" not in "\n".join(told)


def test_no_variable_is_in_what_is_told_wherever_it_stands(tmp_path: Path) -> None:
    told = faults(tmp_path, 'publish: "tcp://12${KEY}"\nsite: "${KEY}/é${KEY}\\n"\nlog: {a: "${KEY}"}\n', KEY="h'unter2é")
    assert len(told) == 2
    assert "publish: " in told[0]
    assert "${KEY}" in told[0]
    assert "unter2" not in "\n".join(told)
    path = tmp_path / "node.yaml"
    path.write_text("cameras: [{name: yard, source: '0', models: ['${KEY}']}]\n")
    with pytest.raises(NodeError, match=r"there is no model \$\{KEY\}"):
        read_config(path, {"KEY": "hunter2"})
    with pytest.raises(NodeError, match=r"there is no model \$\{KEY\}"):
        read_config(path, {"KEY": "x" * 5000})  # longer than a file's name can be


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(NodeError, match=r"none\.yaml: cannot be read: No such file"):
        read_config(tmp_path / "none.yaml")
    (tmp_path / "raw.yaml").write_bytes(b"site: \xff")
    with pytest.raises(NodeError, match="not text in UTF-8"):
        read_config(tmp_path / "raw.yaml")


@pytest.mark.parametrize(("address", "parts"), [("127.0.0.1:80", ("127.0.0.1", 80)), ("[::1]:0", ("::1", 0)), ("host:65535", ("host", 65535))])
def test_an_address_has_host_and_port(address: str, parts: tuple[str, int]) -> None:
    assert split_http(address) == parts


@pytest.mark.parametrize("address", ["", "host", "host:", ":80", "host:65536", "::1:80", "http://host:80", "ho st:1"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="must be HOST:PORT"):
        split_http(address)


@pytest.mark.parametrize("name", ["deploy/node.yaml", "docs/node.md"])
def test_the_examples_that_are_shipped_can_be_used(name: str, tmp_path: Path) -> None:
    text = (ROOT / name).read_text()
    for example in [text] if name.endswith(".yaml") else re.findall(r"```yaml\n(.*?)```", text, re.DOTALL):
        config = read(tmp_path, example.replace("secrets:", "# "), CAM_USER="me", CAM_PASSWORD="s3cret", MQTT_USER="me")
        assert config.cameras


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: &a " + "x" * 100_000 + "\nb: [" + ", ".join(["*a"] * 1_000) + "]", "its aliases stand for more than 200000 values"),
        ("a: " + "[" * 5_000, "has values within values too deep"),
        ("a: " + "x" * 1_048_576, "has more than 1 MiB; is it a configuration?"),
    ],
)
def test_what_unfolds_into_too_much_is_refused(tmp_path: Path, text: str, said: str) -> None:
    assert faults(tmp_path, text) == [f"node.yaml: {said}"]


def test_of_many_faults_some_are_told(tmp_path: Path) -> None:
    told = faults(tmp_path, "".join(f"key{number}: 1\n" for number in range(3_000)))
    assert len(told) == 101
    assert told[-1] == "node.yaml: and more of it"


def test_a_variable_that_is_missing_is_told_once_for_all_cameras(tmp_path: Path) -> None:
    cameras = "".join(f"  - {{name: c{number}, source: 'rtsp://${{CAM_USER}}:${{CAM_PASSWORD}}@h/{number}'}}\n" for number in range(50))
    (told,) = faults(tmp_path, f"defaults: {{models: [figure]}}\ncameras:\n{cameras}")
    words = "there are no variables CAM_USER, CAM_PASSWORD in the environment, nor in a file of `secrets` (50 values want them)"
    assert told == f"node.yaml:3: cameras[0].source: {words}"


@pytest.mark.parametrize("text", ["source: !hunter2 x", "source: *hunter2", "source: %hunter2", 'source: "a" hunter2"'])
def test_what_yaml_complains_of_is_not_quoted(tmp_path: Path, text: str) -> None:
    assert "hunter2" not in "".join(faults(tmp_path, text))
