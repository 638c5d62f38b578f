"""The key: where it comes from, when it is made, and what is wrong with a wrong one."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from voiceguard.errors import StoreKeyError
from voiceguard.voiceprints.key import create_key, key_location, load_key


def test_a_new_key_is_private_random_and_stays(tmp_path: Path) -> None:
    first = create_key(tmp_path / "sub" / "key")
    assert stat.S_IMODE(first.source.stat().st_mode) == 0o600
    assert len(first.secret) == 32
    assert create_key(first.source).secret == first.secret
    assert create_key(tmp_path / "other").secret != first.secret
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["key", "other", "sub"]


def test_its_repr_does_not_tell_it(tmp_path: Path) -> None:
    key = create_key(tmp_path / "key")
    assert key.secret.hex() not in repr(key)
    assert repr(key.secret) not in repr(key)


def test_a_systemd_credential_beats_the_setting_and_the_default(tmp_path: Path) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    environ = {"CREDENTIALS_DIRECTORY": str(credentials)}
    assert key_location(tmp_path, "/etc/vg.key", environ) == Path("/etc/vg.key")
    (credentials / "voiceguard-key").write_text("ab" * 32)
    assert key_location(tmp_path, "/etc/vg.key", environ) == credentials / "voiceguard-key"
    assert key_location(tmp_path, None, {}) == tmp_path / "voiceguard.key"


def test_the_mode_of_a_systemd_credential_is_systemds_business(tmp_path: Path) -> None:
    credential = tmp_path / "voiceguard-key"
    credential.write_text("ab" * 32 + "\n")
    credential.chmod(0o440)  # what an ACL looks like
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert load_key(credential, environ).secret == bytes.fromhex("ab" * 32)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o602])
def test_a_key_that_others_can_reach_is_refused_with_the_remedy(tmp_path: Path, mode: int) -> None:
    key = create_key(tmp_path / "key").source
    key.chmod(mode)
    with pytest.raises(StoreKeyError, match="others") as caught:
        load_key(key)
    assert caught.value.hint == f"chmod 600 {key}"


@pytest.mark.parametrize("content", [b"", b"ab" * 31, b"ab" * 33, b"zz" * 32, b"\xff" * 64])
def test_what_is_not_a_key_is_refused_and_not_shown(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(StoreKeyError, match="64 hexadecimal digits") as caught:
        load_key(path)
    assert "zz" not in str(caught.value)
    assert "abab" not in str(caught.value)


def test_a_key_inside_the_voiceprints_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreKeyError, match="inside the voiceprints"):
        key_location(tmp_path, tmp_path / "voiceprints" / "key", {})
