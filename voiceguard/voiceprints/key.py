"""The store's key: 32 random bytes, from systemd's credential or a private file.

Written as 64 hexadecimal digits, so that ``openssl rand -hex 32`` makes one and an editor can't
damage it unseen. It is created only while no voiceprint exists: a new key beside old voiceprints
would make them look tampered with, where the truth is that their key is lost.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from voiceguard.errors import StoreKeyError
from voiceguard.paths import default_key_file, make_private_dir, voiceprints_dir
from voiceguard.validation.files import open_regular, sync_directory
from voiceguard.voiceprints.durable import temporary_beside, write_durably

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY_BYTES = 32
CREDENTIAL_NAME = "voiceguard-key"


@dataclass(frozen=True, slots=True)
class StoreKey:
    """The key and where it came from; its repr shows only the latter."""

    source: Path
    secret: bytes

    def __repr__(self) -> str:
        return f"StoreKey(source={str(self.source)!r})"

    @property
    def key_id(self) -> str:
        """Names the key without telling it, so that a wrong key is told from a damaged file.

        64 bits of a hash of 256 random bits: it helps nobody to find them.
        """
        return hashlib.sha256(b"voiceguard key id\0" + self.secret).hexdigest()[:16]


def key_location(
    state: Path, key_file: str | Path | None, environ: Mapping[str, str] = os.environ
) -> Path:
    """Which file the key is read from: systemd's credential, the setting, or the default.

    Raises:
        StoreKeyError: The setting points into the voiceprints' directory, where a backup or a
            thief would find the key beside what it protects.
    """
    if directory := environ.get("CREDENTIALS_DIRECTORY"):
        credential = Path(directory) / CREDENTIAL_NAME
        if credential.is_file():
            return credential
    if not key_file or not str(key_file):
        return default_key_file(state)
    path = Path(key_file).expanduser()
    if path.resolve().is_relative_to(voiceprints_dir(state).resolve()):
        raise StoreKeyError(
            f"the key file {path} lies inside the voiceprints' directory",
            hint="move it out of there and change `key_file`",
        )
    return path


def load_key(path: Path, environ: Mapping[str, str] = os.environ) -> StoreKey:
    """Reads the key.

    Raises:
        StoreKeyError: Missing, readable by others, or not 64 hexadecimal digits.
    """
    try:
        with open_regular(path) as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            content = file.read(4 * KEY_BYTES)
    except FileNotFoundError as error:
        raise StoreKeyError(
            f"the key file {path} does not exist",
            hint="put it back from a backup; without it nobody's voiceprint can be read: remove "
            "them, and enroll again",
        ) from error
    except OSError as error:
        raise StoreKeyError(
            f"cannot read the key file {path}: {error.strerror}",
            hint=f"run as its owner, or `chown` it to this user (uid {os.getuid()})",
        ) from error
    # systemd guards its credentials by an ACL, whose mask shows up as group bits: not ours to judge
    directory = environ.get("CREDENTIALS_DIRECTORY")
    is_credential = bool(directory) and path.parent == Path(directory or "")
    if mode & 0o077 and not is_credential:
        raise StoreKeyError(
            f"the key file {path} can be read by others (mode {mode:04o}; expected 0600)",
            hint=f"chmod 600 {path}",
        )
    try:
        secret = bytes.fromhex(content.decode("ascii").strip())
    except ValueError:
        secret = b""
    if len(secret) != KEY_BYTES:
        raise StoreKeyError(
            f"the key file {path} does not hold a key: expected {2 * KEY_BYTES} hexadecimal "
            f"digits, found {len(content)} bytes of something else",
            hint="restore it from a backup; without it the voiceprints can't be read",
        )
    return StoreKey(path, secret)


def create_key(path: Path) -> StoreKey:
    """Makes a new key file, 0600, on disk when this returns; never replaces one.

    Where another process was faster, its key is read instead.

    Raises:
        StoreKeyError: The file can't be made.
        StateError: Its directory can't be made.
    """
    make_private_dir(path.parent)
    # written whole under another name, then linked: a half-written key must never be read as one
    draft = temporary_beside(path)
    try:
        try:
            write_durably(draft, secrets.token_hex(KEY_BYTES).encode() + b"\n")
            os.link(draft, path)
        finally:
            draft.unlink(missing_ok=True)
        sync_directory(path.parent)
    except FileExistsError:
        pass
    except OSError as error:
        raise StoreKeyError(
            f"cannot make the key file {path}: {error.strerror}",
            hint="free some space or choose another place with `key_file`",
        ) from error
    return load_key(path)
