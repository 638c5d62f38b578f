"""Whether the audit log is whole: the chain, and that its end was not cut off. Blocking."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voiceguard.audit.chain import Head
from voiceguard.errors import AuditError
from voiceguard.paths import is_there
from voiceguard.unlock.counters import CounterFile

if TYPE_CHECKING:
    from pathlib import Path

    from voiceguard.audit.log import AuditLog


def check_audit(audit: AuditLog, counters: Path, *, known_digest: str | None = None) -> Head:
    """Reads all of it.

    Args:
        audit: The log.
        counters: The file that notes an entry which must be there.
        known_digest: Of an entry that must be there as well; None: none is known.

    Returns:
        The last entry.

    Raises:
        AuditError: An entry was changed, removed, inserted or cut off; or there is no log.
        StateError: The counters can't be read.
    """
    wanted = {} if known_digest is None else {known_digest.strip().lower(): "the hash given"}
    if is_there(counters):
        noted = CounterFile(counters).read()
        if noted.audit_number:
            wanted[noted.audit_digest] = f"entry {noted.audit_number}, which {counters} knows of,"
    last = Head()
    for _, last in audit.entries():
        wanted.pop(last.digest, None)
    for what in wanted.values():
        raise AuditError(
            f"{what} is not in the audit log: its end was cut off, or it was written anew",
            hint=f"{last.number} entries are left, and each follows from the one before it",
        )
    return last
