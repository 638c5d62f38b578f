"""The audit log's lines, each bound to the one before it by a hash. Pure.

A line is a JSON object: ``number`` (from 1), ``at`` (UTC), ``event``, fields of that event, and
``previous``: SHA-256 of the line before it, its newline left out; of the first line, zeros. Whoever
changes, removes or inserts a line has to write every later one anew, and the last one's hash with
it: that one is noted beside the log (the counters of locks), and by whoever runs
``voiceguard audit verify``.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from voiceguard.errors import AuditError
from voiceguard.validation.parsing import parse_json_object

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_LINE_BYTES = 1 << 16
UNREADABLE_HINT = (
    "`voiceguard audit verify` says how far it is whole; nothing is noted, and no lock answered, "
    "until it is restored, or moved away and begun anew: `voiceguard unlock keys`"
)
_OWN = ("number", "at", "event", "previous")


@dataclass(frozen=True, slots=True)
class Head:
    """The last line of a log, by its number and hash."""

    number: int = 0
    digest: str = "0" * 64


def next_line(head: Head, at: str, event: str, fields: dict[str, Any]) -> tuple[bytes, Head]:
    """The line that follows, without its newline, and the head that it becomes.

    Args:
        head: The last line.
        at: UTC, ISO 8601.
        event: A word.
        fields: JSON values.
    """
    assert not fields.keys() & set(_OWN)
    number = head.number + 1
    content = {"number": number, "at": at, "event": event, **fields, "previous": head.digest}
    line = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    if len(line) > MAX_LINE_BYTES:
        raise AuditError(f"an entry of the audit log has at most {MAX_LINE_BYTES} bytes")
    return line, Head(number, digest_of(line))


def head_of(line: bytes) -> Head:
    """The head that a line is.

    Raises:
        AuditError: It is none.
    """
    try:
        number = parse_json_object(line, max_bytes=MAX_LINE_BYTES)["number"]
    except (ValueError, KeyError) as error:
        raise AuditError(
            f"the last line of the audit log is none of ours: {error}", hint=UNREADABLE_HINT
        ) from error
    if type(number) is not int:
        raise AuditError("the last line of the audit log has no number", hint=UNREADABLE_HINT)
    return Head(number, digest_of(line))


def check(lines: Iterable[bytes]) -> Iterator[tuple[dict[str, Any], Head]]:
    """Every entry in order, with the head that it is.

    Args:
        lines: Without their newlines.

    Raises:
        AuditError: At the first line that does not follow from the one before it.
    """
    head = Head()
    for line in lines:
        where = f"line {head.number + 1} of the audit log"
        try:
            entry = parse_json_object(line, max_bytes=MAX_LINE_BYTES)
        except ValueError as error:
            raise AuditError(f"{where} can't be read: {error}", hint=_HINT) from error
        if entry.get("number") != head.number + 1:
            raise AuditError(f"{where} has the number {entry.get('number')!r}", hint=_HINT)
        if entry.get("previous") != head.digest:
            raise AuditError(
                f"{where} does not follow from the one before it: one of the two was changed",
                hint=_HINT,
            )
        head = Head(head.number + 1, digest_of(line))
        yield entry, head


def digest_of(line: bytes) -> str:
    """SHA-256 of a line."""
    return hashlib.sha256(line).hexdigest()


_HINT = "whoever changed it could write to the state directory: trust nothing after that line"
