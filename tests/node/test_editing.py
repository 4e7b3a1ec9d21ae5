from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from textwrap import dedent
from unicodedata import normalize

import pytest

from streamvc.errors import NodeError
from streamvc.node.config import interpret, read_config
from streamvc.node.document import read_documents
from streamvc.node.editing import add_camera, remove_camera, set_camera
from streamvc.node.settings import CameraConfig

SHOP = """\
# The shop's node.
site: shop     # in topics

defaults:
  models: [fall,     # the quick one
           exercise]
cameras:
  # the yard, since spring
  - name: yard
    source: rtsp://${U}:${P}@192.0.2.7/stream   # by the gate
    zones:
      include:
        - [[0.1, 0.2], [0.9, 0.2], [0.5, 1.0]]
    # rate_hz: 2

  # the door
  - name:  door
    source: "0"
    thresholds: {enter: 0.8, leave: 0.4}

sinks: []      # none yet
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "node.yaml"
    path.write_text(SHOP)
    return path


def written(file: Path, text: str) -> Path:
    file.write_text(dedent(text))
    return file


def cameras(file: Path) -> tuple[CameraConfig, ...]:
    return interpret(read_documents(file), {"U": "u", "P": "p"}).cameras


def names(file: Path) -> list[str]:
    return [camera.name for camera in cameras(file)]


def words(text: str) -> list[str]:
    """Its lines; how they are spaced does not count."""
    return [" ".join(line.split()) for line in text.splitlines()]


def test_a_camera_is_added_in_a_file_of_its_own_behind_the_others(file: Path) -> None:
    added = add_camera(file, "hall", "rtsp://${U}:${P}@192.0.2.8/stream", ["fall"])
    assert added == file.parent / "cameras.d" / "hall.yaml"
    assert added.read_text() == "source: rtsp://${U}:${P}@192.0.2.8/stream\nmodels: [fall]\n"
    assert file.read_text() == SHOP
    assert names(file) == ["yard", "door", "hall"]
    assert remove_camera(file, "hall") == added
    assert not added.exists()
    assert names(file) == ["yard", "door"]


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("001", "001"),
        ("1e3", "1e3"),
        ("true", "true"),
        ("back door 2", "back door 2"),
        ("a/b", "a-b-"),
        ("../../x", "x-"),
        (".hidden", "hidden-"),
        ("K\u00fcche", "K-che-"),
        ("Ku\u0308che", "Ku-che-"),
        ("\u53f0\u6240", "camera-"),
        ("Hall", "Hall-1"),  # "hall" is there, and many file systems would take it for the same
        ("hall.", "hall-"),
        ("x" * 100, "x" * 40 + "-"),
        ("${U}", "U-"),
    ],
)
def test_any_name_has_a_file(file: Path, name: str, stem: str) -> None:
    add_camera(file, "hall", "0")
    added = add_camera(file, name, "1")
    assert added.parent == file.parent / "cameras.d"
    assert added.stem == stem or (stem.endswith("-") and added.stem[: len(stem)] == stem and len(added.stem) == len(stem) + 8)
    assert [normalize("NFC", name.replace("${U}", "u")), "hall"] == sorted(set(names(file)) - {"yard", "door"}, key="hall".__eq__)
    set_camera(file, name, {"rate_hz": "4"})
    assert "rate_hz: 4\n" in added.read_text()
    remove_camera(file, name)
    assert names(file) == ["yard", "door", "hall"]


def test_a_name_that_yaml_takes_for_a_number_can_be_given(file: Path) -> None:
    set_camera(file, "door", {"name": "007"})
    assert names(file) == ["yard", "007"]
    added = add_camera(file, "hall", "0")
    set_camera(file, "hall", {"name": "008"})
    assert names(file) == ["yard", "007", "008"]
    assert add_camera(file, "hall", "1").name == "hall-1.yaml"
    remove_camera(file, "hall")
    set_camera(file, "008", {"name": ""})
    assert added.read_text() == "source: 0\n"


def test_comments_in_the_file_of_a_camera_stay(file: Path) -> None:
    added = add_camera(file, "hall", "0")
    text = """\
# In the hall, since spring.
source: "0"   # by the gate
thresholds:
  enter: 0.8  # tuned
  # leave: 0.2
zones:
    include:
    - [[0, 0],
       [1, 0], [1, 1]]
# The end.
"""
    added.write_text(text)
    set_camera(file, "hall", {"thresholds.enter": "0.9", "priority": "high"})
    assert added.read_text() == text.replace("0.8  #", "0.9  #").replace("# The end", "priority: high\n# The end")
    set_camera(file, "hall", {"thresholds": "", "zones": "", "priority": ""})
    assert added.read_text() == '# In the hall, since spring.\nsource: "0"   # by the gate\n# The end.\n'


def test_a_new_file_has_the_rights_of_the_configuration(file: Path) -> None:
    file.chmod(0o640)
    assert add_camera(file, "hall", "rtsp://me:secret@192.0.2.9/").stat().st_mode & 0o777 == 0o640


def test_a_configuration_may_be_begun(tmp_path: Path) -> None:
    file = tmp_path / "new.yaml"
    add_camera(file, "door", "rtsp://192.0.2.8/stream", ["figure"])
    add_camera(file, "yard", "0", ["figure"])
    cameras = read_config(file).cameras
    assert [(camera.name, camera.source, camera.models[0].name) for camera in cameras] == [
        ("door", "rtsp://192.0.2.8/stream", "figure"),
        ("yard", "0", "figure"),
    ]
    with pytest.raises(NodeError, match="cannot be changed"):
        remove_camera(tmp_path / "none.yaml", "door")


def test_a_camera_is_removed_with_its_own_comments_alone(file: Path) -> None:
    remove_camera(file, "yard")
    first, last = SHOP.index("  # the yard"), SHOP.index("\n  # the door")
    assert file.read_text() == SHOP[:first] + SHOP[last:]
    remove_camera(file, "door")
    assert names(file) == []
    add_camera(file, "door", "0")
    assert names(file) == ["door"]
    assert file.read_text().endswith("sinks: []      # none yet\n")


@pytest.mark.parametrize(
    ("camera", "key", "value", "old", "new"),
    [
        ("yard", "rate_hz", "5", "[0.5, 1.0]]\n", "[0.5, 1.0]]\n    rate_hz: 5\n"),
        ("yard", "source", "'clip.mp4'", "rtsp://${U}:${P}@192.0.2.7/stream   # by", "'clip.mp4'   # by"),
        ("yard", "source", "{x}: y", "rtsp://${U}:${P}@192.0.2.7/stream   # by", "'{x}: y'   # by"),
        ("door", "name", "back", "name:  door", "name:  back"),
        ("door", "thresholds.enter", "0.9", "enter: 0.8", "enter: 0.9"),
        ("door", "thresholds.min_s", "2", "leave: 0.4}", "leave: 0.4, min_s: 2}"),
        ("door", "thresholds.leave", "", ", leave: 0.4}", "}"),
        ("door", "thresholds.enter", "", "enter: 0.8, ", ""),
        ("door", "thresholds", "", "    thresholds: {enter: 0.8, leave: 0.4}\n", ""),
        ("door", "motion.gate", "false", "leave: 0.4}\n", "leave: 0.4}\n    motion: {gate: false}\n"),
        ("door", "schedule", '["mon-fri 8:00-18:00"]', "leave: 0.4}\n", 'leave: 0.4}\n    schedule: ["mon-fri 8:00-18:00"]\n'),
        ("yard", "zones", "{exclude: []}", "zones:\n      include:\n        - [[0.1, 0.2], [0.9, 0.2], [0.5, 1.0]]", "zones: {exclude: []}"),
        ("yard", "zones.include", "", "    zones:\n      include:\n        - [[0.1, 0.2], [0.9, 0.2], [0.5, 1.0]]\n", ""),
        ("yard", "loop", "", "", ""),
    ],
)
def test_a_key_is_changed_and_nothing_else(file: Path, camera: str, key: str, value: str, old: str, new: str) -> None:
    set_camera(file, camera, {key: value})
    lines = file.read_text().splitlines()
    assert words("\n".join(lines)) == words(SHOP.replace(old, new))
    assert all(line in lines for line in SHOP.splitlines() if words(line)[:1] and words(line)[0] in words("\n".join(lines)))


def test_changes_are_made_together_or_not_at_all(file: Path) -> None:
    set_camera(file, "door", {"thresholds.leave": "0.85", "thresholds.enter": "0.9"})
    assert cameras(file)[1].thresholds.leave == 0.85
    before = file.read_text()
    with pytest.raises(NodeError, match=r"was not changed.*\n.*node.yaml:\d+: cameras\[1\].rate_hz: must be at least 2, not 1"):
        set_camera(file, "door", {"priority": "high", "rate_hz": "1"})
    assert file.read_text() == before


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# only a comment\n",
        "site: shop",
        "site: shop\ncameras:\n",
        "cameras:   # none yet\nsite: shop\n",
        "cameras: []   # none yet\nsite: shop\n",
        "cameras:\n- {name: a, source: 0, models: [fall]}\nsite: shop\n",
        "cameras:\n-   name: a\n    source: 0\n    models:\n    - fall\n",
        "cameras:\n    -\n        name: a\n        source: 0\n        models: [fall]",
    ],
)
def test_a_camera_comes_and_goes_however_the_list_is_written(file: Path, text: str) -> None:
    written(file, text)
    before = ["a"] if "name: a" in text else []
    add_camera(file, "new one", "a: strange #source", ["figure"])
    assert names(file) == [*before, "new one"]
    assert cameras(file)[-1].source == str(file.parent / "a: strange #source")
    set_camera(file, "new one", {"rate_hz": "4", "thresholds.enter": "0.5"})
    assert cameras(file)[-1].rate_hz == 4
    remove_camera(file, "new one")
    if "site" in text or before:
        assert names(file) == before
    assert file.read_text() == text


def test_a_list_in_one_line_can_be_changed(file: Path) -> None:
    written(file, "cameras: [{name: a, source: 0, models: [fall]}, {name: b, source: 1, models: [fall]}]  # two\n")
    set_camera(file, "a", {"rate_hz": "4"})
    assert words(file.read_text()) == ["cameras: [{name: a, source: 0, models: [fall], rate_hz: 4}, {name: b, source: 1, models: [fall]}] # two"]
    remove_camera(file, "a")
    remove_camera(file, "b")
    assert words(file.read_text()) in (["cameras: # two"], ["cameras:"])


@pytest.mark.parametrize(
    "text",
    [
        "defaults: {models: [fall], thresholds: &t {enter: 0.8}}\ncameras:\n- {name: a, source: 0, thresholds: *t}\n",
        "defaults: {models: [fall]}\ncameras:\n- {name: b, source: 1, thresholds: &t {enter: 0.8}}\n- {name: a, source: 0, thresholds: *t}\n",
    ],
)
def test_what_is_written_too_artfully_is_left_to_its_author(file: Path, text: str) -> None:
    written(file, text)
    with pytest.raises(NodeError, match="by hand"):
        set_camera(file, "a", {"thresholds.enter": "0.9"})
    assert file.read_text() == text


def test_defaults_under_an_anchor_are_never_changed_with_a_camera(file: Path) -> None:
    written(
        file,
        """\
        defaults: &all
          models: [fall]
          rate_hz: 5
        cameras:
          - <<: *all
            name: a
            source: 0
        """,
    )
    before = file.read_text()
    set_camera(file, "a", {"rate_hz": "4", "priority": "high"})
    assert file.read_text() == before + "    rate_hz: 4\n    priority: high\n"
    assert cameras(file)[0].rate_hz == 4


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda path: remove_camera(path, "yrad"), "no camera yrad; did you mean yard"),
        (lambda path: set_camera(path, "nothing", {}), "no camera nothing; there are yard, door"),
        (lambda path: add_camera(path, "yard", "0"), r"cameras.d/yard.yaml:1: name: yard was named before"),
        (lambda path: add_camera(path, "h\udcffll", "0"), "is not YAML"),
        (lambda path: add_camera(path, "hall", "0", ["figur"]), r"cameras.d/hall.yaml:2: models.0.: there is no model figur; did you mean figure"),
        (lambda path: set_camera(path, "yard", {"schedul": "[]"}), "did you mean schedule"),
        (lambda path: set_camera(path, "yard", {"Rate Hz": "5"}), "is not a key"),
        (lambda path: remove_camera(path.with_name("other.yaml"), "yard"), "other.yaml: cannot be changed: No such file"),
        (lambda path: add_camera(path.with_name("other.yaml"), "yard", "0"), "models: is missing"),
        (lambda path: add_camera(path.with_name("none") / "other.yaml", "yard", "0"), "cannot be changed"),
    ],
)
def test_what_cannot_be_done_is_said_and_changes_nothing(file: Path, edit: Callable[[Path], None], words: str) -> None:
    with pytest.raises(NodeError, match=words):
        edit(file)
    assert file.read_text() == SHOP
    assert [each for each in file.parent.iterdir() if each.suffix != ".lock"] == [file]


def test_a_link_and_the_rights_of_the_file_stay(file: Path) -> None:
    file.chmod(0o640)
    link = file.with_name("link.yaml")
    link.symlink_to(file.name)
    remove_camera(link, "door")
    assert link.is_symlink()
    assert names(file) == ["yard"]
    assert file.stat().st_mode & 0o777 == 0o640


def test_lines_end_as_they_did(file: Path) -> None:
    file.write_bytes(SHOP.replace("\n", "\r\n").encode())
    set_camera(file, "door", {"name": "back"})
    assert file.read_bytes().decode() == SHOP.replace("name:  door", "name: back").replace("\n", "\r\n")


def test_edits_at_the_same_time_are_all_made(file: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: add_camera(file, f"camera {number}", str(number)), range(8)))
    assert sorted(names(file)[2:]) == [f"camera {number}" for number in range(8)]


@pytest.mark.parametrize("name", ["001", "1e5", "no", "true", "2026-11-30", "0x1F"])
def test_cameras_whose_names_look_like_numbers_can_be_added_changed_and_removed(file: Path, name: str) -> None:
    written(file, f"site: s\ndefaults: {{models: [fall]}}\ncameras:\n- {{name: {name}, source: 0}}  # first\n")
    set_camera(file, name, {"rate_hz": "5"})
    assert [(camera.name, camera.rate_hz) for camera in cameras(file)] == [(name, 5.0)]
    assert "# first" in file.read_text()
    add_camera(file, f"{name}0", "rtsp://h/x")
    set_camera(file, name, {"name": f"{name}1"})
    assert names(file) == [f"{name}1", f"{name}0"]
    remove_camera(file, f"{name}1")
    assert names(file) == [f"{name}0"]


@pytest.mark.parametrize("name", ["CON", "nul", "com1", "Aux.x"])
def test_a_camera_with_the_name_of_a_device_gets_a_file_of_another(tmp_path: Path, name: str) -> None:
    path = add_camera(tmp_path / "node.yaml", name, "0", ["fall"])
    assert not path.stem.lower().startswith(f"{name.lower()}.")
    assert path.stem.lower() != name.lower()
    assert names(tmp_path / "node.yaml") == [name]


def test_a_camera_is_found_however_the_accents_of_its_name_are_typed(tmp_path: Path) -> None:
    file = tmp_path / "node.yaml"
    add_camera(file, "Ku\u0308che", "0", ["fall"])
    set_camera(file, "K\u00fcche", {"rate_hz": "5"})
    assert [(camera.name, camera.rate_hz) for camera in cameras(file)] == [("K\u00fcche", 5.0)]
    with pytest.raises(NodeError, match="named before"):
        add_camera(file, "K\u00fcche", "1", ["fall"])
    remove_camera(file, "Ku\u0308che")
    assert names(file) == []
