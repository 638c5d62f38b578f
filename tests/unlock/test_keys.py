"""The signing key: made once, private, and what is wrong with a wrong one."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from voiceguard.errors import AuditError, StateError, UnlockKeyError
from voiceguard.paths import audit_file, unlock_key_file
from voiceguard.unlock.keys import (
    create_signing_key,
    load_signing_key,
    public_text,
    signing_key_file,
)
from voiceguard.unlock.setup import make_key

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "unlock.key"


def test_a_new_key_is_private_and_stays_until_it_is_renewed(path: Path) -> None:
    public = public_text(create_signing_key(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert public_text(create_signing_key(path)) == public == public_text(load_signing_key(path))
    assert public_text(create_signing_key(path, renew=True)) != public
    assert [each.name for each in path.parent.iterdir()] == ["unlock.key"]


def test_a_missing_key_is_not_made_by_reading(path: Path) -> None:
    with pytest.raises(UnlockKeyError, match="does not exist") as caught:
        load_signing_key(path)
    assert "voiceguard unlock keys" in caught.value.hint


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_that_others_can_read_is_refused(path: Path, mode: int) -> None:
    create_signing_key(path)
    path.chmod(mode)
    with pytest.raises(UnlockKeyError, match=f"mode {mode:04o}; expected 0600"):
        load_signing_key(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_key_of_another_user_is_refused(path: Path) -> None:
    create_signing_key(path)
    os.chown(path, 12345, -1)
    with pytest.raises(UnlockKeyError, match="belongs to uid 12345"):
        load_signing_key(path)


@pytest.mark.parametrize("content", ["", "ab" * 31, "ab" * 33, "zz" * 32, "ab" * 32 + "\n\n"])
def test_a_key_of_another_size_or_kind_is_refused(path: Path, content: str) -> None:
    create_signing_key(path)
    path.write_text(content)
    with pytest.raises(UnlockKeyError, match=r"expected 65|does not hold 64"):
        load_signing_key(path)


def test_a_fifo_is_not_waited_for(path: Path) -> None:
    path.parent.mkdir()
    os.mkfifo(path, 0o600)
    with pytest.raises(UnlockKeyError, match="a FIFO"):
        create_signing_key(path)


def test_a_systemd_credential_comes_first_and_its_mode_is_systemds_business(tmp_path: Path) -> None:
    folder = tmp_path / "credentials"
    folder.mkdir()
    environ = {"CREDENTIALS_DIRECTORY": str(folder)}
    assert signing_key_file(tmp_path, environ) == tmp_path / "unlock.key"
    credential = folder / "voiceguard-unlock-key"
    credential.write_text("ab" * 32)
    credential.chmod(0o440)
    assert signing_key_file(tmp_path, environ) == credential
    load_signing_key(credential, environ)


def test_a_place_that_is_no_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="file"):
        create_signing_key(tmp_path / "file" / "unlock.key")


def test_a_key_that_cannot_be_noted_takes_nobodys_place(tmp_path: Path) -> None:
    """Every lock knows the old one: an error must not have made it another already."""
    public = public_text(make_key(tmp_path))
    log = audit_file(tmp_path)
    log.rename(tmp_path / "elsewhere")
    log.symlink_to(tmp_path / "elsewhere")  # not followed: nothing can be noted
    with pytest.raises(AuditError):
        make_key(tmp_path, renew=True)
    assert public_text(load_signing_key(unlock_key_file(tmp_path))) == public
    assert not list(tmp_path.glob(".*.tmp"))
