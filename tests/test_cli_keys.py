import json
from pathlib import Path

import pytest
import zmq.auth
from click.testing import CliRunner, Result

from streamvc.cli import main
from streamvc.publish import keys


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "keys"


def run(folder: Path, *arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["keys", *map(str, arguments), "--keys", str(folder)])


def listed(folder: Path) -> dict[str, bool]:
    return {row["name"]: row["allowed"] for row in json.loads(run(folder, "list", "--json").stdout)}


def test_a_client_is_made_revoked_and_allowed_again(folder: Path) -> None:
    made = run(folder, "new", "display")
    assert made.exit_code == 0, made.output
    assert keys.load_client(Path(made.stdout.strip())).server == run(folder, "show-server").stdout.strip()
    assert listed(folder) == {"display": True}
    assert run(folder, "revoke", "display").stdout == "display: revoked\n"
    assert listed(folder) == {"display": False}
    assert run(folder, "allow", "display").stdout == "display: allowed\n"
    assert listed(folder) == {"display": True}


def test_a_key_made_elsewhere_is_allowed_from_its_file(folder: Path, tmp_path: Path) -> None:
    public, _ = zmq.auth.create_certificates(tmp_path, "elsewhere")
    assert run(folder, "allow", "elsewhere", public).exit_code == 0
    line = run(folder, "list").stdout
    assert line.split()[:3] == ["elsewhere", keys.fingerprint(keys.read_public(public)), "allowed"]


def test_no_secret_is_printed(folder: Path) -> None:
    file = Path(run(folder, "new", "display").stdout.strip())
    secrets = [keys.load_client(file).secret, keys.load_server(folder).secret]
    outputs = [run(folder, *arguments).output for arguments in (["list"], ["list", "--json"], ["show-server"], ["revoke", "display"])]
    for secret in secrets:
        assert secret is not None
        assert all(secret not in output for output in outputs)


def test_what_goes_wrong_is_one_line(folder: Path) -> None:
    for arguments in (["revoke", "nobody"], ["allow", "nobody"], ["allow", "display", "no key"], ["new", "../display"], ["show-server"]):
        result = run(folder, *arguments)
        assert result.exit_code == 1
        assert len(result.stderr.splitlines()) == 1
        assert result.stderr.startswith("Error: ")


def test_the_folder_of_the_user_is_the_default(tmp_path: Path) -> None:
    made = CliRunner().invoke(main, ["keys", "new", "display"], env={"XDG_CONFIG_HOME": str(tmp_path)})
    assert made.exit_code == 0, made.output
    assert (tmp_path / "streamvc" / "keys" / "server.key").exists()
