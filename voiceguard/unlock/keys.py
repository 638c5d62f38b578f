"""The daemon's signing key: an Ed25519 seed in a private file, or systemd's credential.

Written as 64 hexadecimal digits, like the store's key. Made by ``voiceguard unlock keys`` and by
nothing else: a daemon that made a new one by itself would be a stranger to every lock.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from voiceguard.errors import UnlockKeyError
from voiceguard.paths import is_there, make_private_dir, unlock_key_file
from voiceguard.validation.files import open_regular, sync_directory
from voiceguard.voiceprints.durable import temporary_beside, write_durably

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SEED_BYTES = 32
CREDENTIAL_NAME = "voiceguard-unlock-key"
_FILE_BYTES = 2 * SEED_BYTES + 1


def signing_key_file(state: Path, environ: Mapping[str, str] = os.environ) -> Path:
    """Where the key is: systemd's credential, or the state directory."""
    if directory := environ.get("CREDENTIALS_DIRECTORY"):
        credential = Path(directory) / CREDENTIAL_NAME
        if credential.is_file():
            return credential
    return unlock_key_file(state)


def load_signing_key(path: Path, environ: Mapping[str, str] = os.environ) -> Ed25519PrivateKey:
    """Reads the key.

    Raises:
        UnlockKeyError: Missing; readable by others; another user's; or not 64 hexadecimal digits.
    """
    try:
        with open_regular(path) as file:
            status = os.fstat(file.fileno())
            content = file.read(4 * SEED_BYTES)
    except FileNotFoundError:
        raise UnlockKeyError(
            f"the unlock key {path} does not exist", hint="`voiceguard unlock keys` makes it"
        ) from None
    except OSError as error:
        raise UnlockKeyError(
            f"cannot read the unlock key {path}: {error.strerror}",
            hint=f"run as its owner, or `chown` it to this user (uid {os.getuid()})",
        ) from error
    # systemd guards its credentials by an ACL, whose mask shows up as group bits: not ours to judge
    directory = environ.get("CREDENTIALS_DIRECTORY")
    if not directory or path.parent != Path(directory):
        _check_private(path, status)
    if status.st_size not in {_FILE_BYTES - 1, _FILE_BYTES}:
        raise UnlockKeyError(
            f"the unlock key {path} has {status.st_size} bytes; expected {_FILE_BYTES}: "
            f"{2 * SEED_BYTES} hexadecimal digits and a line's end",
            hint="restore it from a backup, or make another: `voiceguard unlock keys --renew`",
        )
    try:
        seed = bytes.fromhex(content.decode("ascii").strip())
    except ValueError:
        seed = b""
    if len(seed) != SEED_BYTES:
        raise UnlockKeyError(
            f"the unlock key {path} does not hold {2 * SEED_BYTES} hexadecimal digits",
            hint="restore it from a backup, or make another: `voiceguard unlock keys --renew`",
        )
    return Ed25519PrivateKey.from_private_bytes(seed)


def _check_private(path: Path, status: os.stat_result) -> None:
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o077:
        raise UnlockKeyError(
            f"the unlock key {path} is open to others (mode {mode:04o}; expected 0600)",
            hint=f"chmod 600 {path}; if others could read it: `voiceguard unlock keys --renew`",
        )
    if status.st_uid != os.geteuid():
        raise UnlockKeyError(
            f"the unlock key {path} belongs to uid {status.st_uid}, who could change it; this "
            f"process is uid {os.geteuid()}",
            hint="run as its owner, or `chown` it to this user",
        )


def create_signing_key(
    path: Path, *, renew: bool = False, note: Callable[[str], object] = lambda _public: None
) -> Ed25519PrivateKey:
    """Makes a new key file, 0600, on disk when this returns.

    Args:
        path: Its place.
        renew: Put it in the place of one that is there; every lock must then learn the new
            public key. Without it an existing key stays, and is read.
        note: Called with the public key of a new one before it takes its place; where that raises,
            nothing has changed.

    Raises:
        UnlockKeyError: The file can't be made, or the one that is there can't be used.
        StateError: Its directory can't be made.
    """
    if not renew and is_there(path):
        return load_signing_key(path)
    make_private_dir(path.parent)
    # written whole under another name, then linked: a half-written key must never be read as one
    draft = temporary_beside(path)
    try:
        try:
            key = Ed25519PrivateKey.generate()
            write_durably(draft, key.private_bytes_raw().hex().encode() + b"\n")
            note(public_text(key))
            draft.replace(path) if renew else os.link(draft, path)
        finally:
            draft.unlink(missing_ok=True)
        sync_directory(path.parent)
    except FileExistsError:
        pass
    except OSError as error:
        raise UnlockKeyError(
            f"cannot make the unlock key {path}: {error.strerror}",
            hint="free some disk space, or mend the permissions of that directory",
        ) from error
    return load_signing_key(path)


def public_text(key: Ed25519PrivateKey) -> str:
    """The public key as locks are given it: 64 hexadecimal digits."""
    return key.public_key().public_bytes_raw().hex()
