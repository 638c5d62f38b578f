"""What the daemon puts on disk before it answers a lock. Blocking: on the I/O executor.

Every step is on disk when it returns, counters and audit log; one that fails raises, and nothing
is answered.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from voiceguard.audit.log import AuditLog
from voiceguard.paths import audit_file, unlock_counters_file
from voiceguard.unlock.attempts import Attempts, succeeded
from voiceguard.unlock.counters import Change, CounterFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from voiceguard.audit.chain import Head
    from voiceguard.unlock.attempts import Moment


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an action stands after a step."""

    wait_s: float
    """Until the next request is taken; infinite: until a reset."""
    num_failures: int


class Records:
    """Counters and audit log of one state directory.

    Args:
        state: The state directory.
        now: Time that nobody sets.
    """

    def __init__(self, state: Path, now: Callable[[], Moment]) -> None:
        self.counters = CounterFile(unlock_counters_file(state))
        self.audit = AuditLog(audit_file(state))
        self._now = now

    def open(self, action: str) -> Standing:
        """Takes a request, or finds the action locked out; the attempt is charged beforehand."""
        now = self._now()
        with self.counters.change() as change:
            before = change.counters.of(action)
            after = before.opened(now)
            change.counters = change.counters.with_attempts(action, after)
            if after.num_failures > before.num_failures:  # the last one was never closed
                self._note_failure(change, action, after, {"why": "interrupted"})
        return Standing(after.wait_s(now), after.num_failures)

    def close(self, action: str) -> None:
        """Ends a request that nobody answered."""
        with self.counters.change() as change:
            attempts = change.counters.of(action).closed()
            change.counters = change.counters.with_attempts(action, attempts)

    def fail(self, action: str, about: dict[str, Any]) -> Standing:
        """Counts a failed attempt.

        Args:
            action: At what.
            about: For the audit log.
        """
        now = self._now()
        with self.counters.change() as change:
            attempts = change.counters.of(action).failed(now)
            change.counters = change.counters.with_attempts(action, attempts)
            self._note_failure(change, action, attempts, about)
        return Standing(attempts.wait_s(now), attempts.num_failures)

    def _note_failure(
        self, change: Change, action: str, attempts: Attempts, about: dict[str, Any]
    ) -> None:
        number = attempts.num_failures
        self._note(change, "attempt_failed", {"action": action, "failures": number, **about})
        if attempts.lockout_s > 0:
            is_off = math.isinf(attempts.lockout_s)
            lockout = {"until": "reset"} if is_off else {"seconds": attempts.lockout_s}
            self._note(change, "locked_out", {"action": action, "failures": number, **lockout})

    def succeed(self, action: str, make: Callable[[int, str], dict[str, Any]]) -> None:
        """Notes an envelope, before anybody sees it.

        Args:
            action: For what.
            make: Signs one with a sequence number and a boot id; returns what to note of it.
        """
        with self.counters.change() as change:
            sequence = change.counters.sequence + 1
            noted = make(sequence, self._now().boot_id)
            counters = change.counters.with_attempts(action, succeeded())
            change.counters = replace(counters, sequence=sequence)
            self._note(change, "envelope", noted)

    def reset(self, actions: tuple[str, ...], *, by: str) -> None:
        """Forgets failures and lockouts of these actions; requests that are open stay open."""
        with self.counters.change() as change:
            for action in actions:
                kept = replace(succeeded(), is_open=change.counters.of(action).is_open)
                change.counters = change.counters.with_attempts(action, kept)
                self._note(change, "reset", {"action": action, "by": by})

    def begin_anew(self, *, by: str) -> None:
        """Forgets everything, also where the counters are damaged or gone."""
        with self.counters.begin_anew() as change:
            self._note(change, "reset", {"action": "all", "by": by})

    def note_policy(self, policy: dict[str, Any]) -> bool:
        """Notes what the settings say, where that has changed since the last note.

        Returns:
            Whether it has.
        """
        with self.counters.change() as change:
            if policy == self._last_policy():
                return False
            self._note(change, "policy_changed", {"policy": policy})
        return True

    def _last_policy(self) -> object:
        last: object = None
        if self.audit.exists:
            for entry, _ in self.audit.entries():
                if entry["event"] == "policy_changed":
                    last = entry.get("policy")
        return last

    def _note(self, change: Change, event: str, fields: dict[str, Any]) -> Head:
        head = self.audit.append(event, **fields)
        change.counters = replace(
            change.counters, audit_number=head.number, audit_digest=head.digest
        )
        return head
