"""The first step of everything about locks: the key, its counters, the audit log. Blocking."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voiceguard.audit.log import AuditLog
from voiceguard.paths import audit_file, is_there, unlock_counters_file
from voiceguard.unlock.counters import CounterFile
from voiceguard.unlock.keys import (
    create_signing_key,
    load_signing_key,
    public_text,
    signing_key_file,
)

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def make_key(state: Path, *, renew: bool = False) -> Ed25519PrivateKey:
    """The signing key of a state directory; made, with counters, where there is none.

    Counters are made only together with a key: where they are gone and the key is not, somebody
    may have removed them to be let in again. A key that can't be noted is not made.

    Args:
        state: The state directory.
        renew: Another key in its place; attempts and lockouts stay.

    Raises:
        UnlockKeyError: The key can't be made, or the one that is there can't be used.
        StateError: Counters or audit log can't be written.
    """
    path = signing_key_file(state)
    audit = AuditLog(audit_file(state))
    is_first = not audit.exists
    if is_first:
        CounterFile(unlock_counters_file(state)).create()
    if renew or not is_there(path):
        return create_signing_key(
            path, renew=renew, note=lambda public: audit.append("key_made", public_key=public)
        )
    key = load_signing_key(path)
    if is_first:
        audit.append("key_found", public_key=public_text(key))
    return key
