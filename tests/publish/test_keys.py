import os
import stat
from pathlib import Path

import pytest
import zmq
import zmq.auth

from streamvc.errors import PublishError
from streamvc.publish import keys


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "keys"


def public_of(file: Path) -> str:
    return keys.load_client(file).public


def test_a_new_client_may_in_and_knows_its_server(folder: Path) -> None:
    display, pager = keys.new_client(folder, "display"), keys.new_client(folder, "pager")
    server = keys.load_server(folder).public
    assert keys.load_client(display).server == keys.load_client(pager).server == server
    assert keys.allowed(folder) == {public_of(display): "display", public_of(pager): "pager"}
    assert len({server, public_of(display), public_of(pager)}) == 3


def test_secrets_are_for_their_owner_alone_and_are_never_shown(folder: Path) -> None:
    file = keys.new_client(folder, "display")
    for path in (folder, folder / "clients", folder / "server.key", file):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0
    secret = keys.load_client(file).secret
    assert secret is not None
    assert secret not in repr(keys.load_client(file))
    assert secret not in file.with_suffix(".public").read_text()


def test_the_files_are_certificates_that_zeromq_reads(folder: Path) -> None:
    file = keys.new_client(folder, "display")
    public, secret = zmq.auth.load_certificate(file)
    assert secret is not None
    assert zmq.curve_public(secret) == public == public_of(file).encode()
    assert zmq.auth.load_certificate(file.with_suffix(".public")) == (public, None)


def test_a_revoked_client_may_in_again_once_it_is_allowed(folder: Path) -> None:
    display, pager = keys.new_client(folder, "display"), keys.new_client(folder, "pager")
    keys.revoke(folder, "display")
    assert keys.allowed(folder) == {public_of(pager): "pager"}
    assert [(client.name, client.allowed) for client in keys.list_clients(folder)] == [("display", False), ("pager", True)]
    with pytest.raises(PublishError, match=r"no client 'display' in .*clients \(there: pager\)"):
        keys.revoke(folder, "display")
    keys.allow(folder, "display")
    assert keys.allowed(folder) == {public_of(display): "display", public_of(pager): "pager"}


def test_a_key_that_was_made_elsewhere_is_allowed_by_its_public_half(folder: Path, tmp_path: Path) -> None:
    public, _ = zmq.curve_keypair()
    zmq.auth.create_certificates(tmp_path, "elsewhere")
    in_a_file = keys.read_public(str(tmp_path / "elsewhere.key"))
    keys.allow(folder, "typed", keys.read_public(public.decode()))
    keys.allow(folder, "carried", in_a_file)
    assert keys.allowed(folder) == {public.decode(): "typed", in_a_file: "carried"}
    with pytest.raises(PublishError, match=r"is known already: see .*typed\.public"):
        keys.allow(folder, "twice", public.decode())


def test_a_key_stays_revoked_under_another_name(folder: Path) -> None:
    public = public_of(keys.new_client(folder, "display"))
    keys.revoke(folder, "display")
    with pytest.raises(PublishError, match=r"is known already: see .*revoked"):
        keys.allow(folder, "again", public)
    (folder / "clients" / "copied.public").write_bytes((folder / "revoked" / "display.public").read_bytes())
    assert keys.allowed(folder) == {}


@pytest.mark.parametrize("name", ["", ".", "..", "../server", "a/b", "-v", ".hidden", "x" * 65, "caf\u00e9", "a\nb", "a\0"])
def test_a_name_that_would_leave_the_folder_is_refused(folder: Path, name: str) -> None:
    with pytest.raises(PublishError, match="cannot be a client's name"):
        keys.new_client(folder, name)
    with pytest.raises(PublishError, match="there is no client"):
        keys.revoke(folder, name)
    assert not folder.exists()


def test_a_name_is_given_once(folder: Path) -> None:
    keys.new_client(folder, "display")
    with pytest.raises(PublishError, match="a client display already"):
        keys.new_client(folder, "display")
    keys.revoke(folder, "display")
    with pytest.raises(PublishError, match="a client display already"):
        keys.new_client(folder, "display")


@pytest.mark.parametrize("text", ["", "no key at all", 'curve\n    public-key = "short"\n', 'public-key = "' + "é" * 40 + '"', "\ufeff\0\1"])
def test_a_damaged_public_key_lets_nobody_in_and_others_may_still(folder: Path, text: str, caplog: pytest.LogCaptureFixture) -> None:
    file = keys.new_client(folder, "display")
    damaged = folder / "clients" / "damaged.public"
    damaged.write_text(text)
    assert keys.allowed(folder) == {public_of(file): "display"}
    assert str(damaged) in caplog.text


def test_where_it_is_not_known_who_was_revoked_nobody_may_in(folder: Path) -> None:
    keys.new_client(folder, "display")
    keys.new_client(folder, "pager")
    keys.revoke(folder, "pager")
    (folder / "revoked" / "pager.public").write_text("")
    with pytest.raises(PublishError, match=r"pager\.public is not a key file"):
        keys.allowed(folder)


@pytest.mark.skipif(os.name != "posix", reason="files have no modes here")
def test_a_secret_that_others_can_read_is_refused(folder: Path) -> None:
    file = keys.new_client(folder, "display")
    for secret, load in ((file, keys.load_client), (folder / "server.key", lambda path: keys.load_server(path.parent))):
        secret.chmod(0o640)
        with pytest.raises(PublishError, match=f"can be read by others on this machine; run `chmod 600 {secret}`"):
            load(secret)


@pytest.mark.skipif(os.name != "posix", reason="files have no modes here")
@pytest.mark.parametrize("inner", [".", "clients", "revoked"])
def test_a_folder_that_others_can_write_to_is_refused(folder: Path, inner: str) -> None:
    keys.new_client(folder, "display")
    keys.revoke(folder, "display")
    (folder / inner).chmod(0o770)
    with pytest.raises(PublishError, match=f"others on this machine can write to {folder / inner}"):
        keys.load_server(folder)


def test_what_is_missing_is_said(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(PublishError, match=r"no keys in .*; make them with `streamvc keys new"):
        keys.load_server(folder)
    with pytest.raises(PublishError, match=r"cannot read the key file .*gone\.key: No such file"):
        keys.load_client(tmp_path / "gone.key")
    file = keys.new_client(folder, "display")
    with pytest.raises(PublishError, match="is a folder; give the key file of this client"):
        keys.load_client(folder)
    with pytest.raises(PublishError, match="holds no secret key"):
        keys.load_client(file.with_suffix(".public"))
    _, own = zmq.auth.create_certificates(tmp_path, "own")
    Path(own).chmod(0o600)
    with pytest.raises(PublishError, match="does not name the server's public key"):
        keys.load_client(Path(own))
    with pytest.raises(PublishError, match="the server's public key is not one"):
        keys.load_client(Path(own), "short")
    assert keys.load_client(Path(own), keys.load_server(folder).public).server == keys.load_server(folder).public


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PublishError, match="cannot write"):
        keys.new_client(tmp_path / "file", "display")
