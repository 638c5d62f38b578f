"""What is allowed by the settings, as the audit log notes it when it has changed.

Settings are read at the start alone, and by nobody at the broker: every change of them is a start.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import TYPE_CHECKING, Any

import structlog

from voiceguard.clock import elapsed_s
from voiceguard.errors import VoiceguardError
from voiceguard.unlock.counters import moment_at
from voiceguard.unlock.records import Records
from voiceguard.validation.reading import plain

if TYPE_CHECKING:
    from concurrent.futures import Executor
    from pathlib import Path

    from voiceguard.clock import Clock
    from voiceguard.settings import Settings

log = structlog.get_logger(__name__)

TIMEOUT_S = 5.0


def policy_in_force(settings: Settings) -> dict[str, Any]:
    """What [unlock] says; of [people] the names of the rules, and a hash of all of it."""
    people = json.dumps(plain(settings.people), sort_keys=True, ensure_ascii=False)
    return {
        **plain(settings.unlock),
        "people": {
            "rules": list(settings.people.rules),
            "sha256": hashlib.sha256(people.encode()).hexdigest(),
        },
    }


async def note_policy(settings: Settings, state: Path, executor: Executor, clock: Clock) -> None:
    """Notes it where an audit log is kept and no lock is there that would have it noted.

    Nothing is opened here, so that a full disk is no more than said.
    """
    records = Records(state, lambda: moment_at(elapsed_s(clock)))

    def note() -> None:
        if records.audit.exists:
            records.note_policy(policy_in_force(settings))

    try:
        async with asyncio.timeout(TIMEOUT_S):
            await asyncio.get_running_loop().run_in_executor(executor, note)
    except TimeoutError:
        log.error("policy_not_noted", error="the state directory does not answer")  # noqa: TRY400
    except VoiceguardError as error:
        log.error("policy_not_noted", error=str(error), hint=error.hint)  # noqa: TRY400
