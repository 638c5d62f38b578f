"""What one look at an installation has found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voiceguard.errors import VoiceguardError


class Status(StrEnum):
    """How a check went."""

    OK = "ok"
    WARN = "warn"
    """Works, but not as it should, or only as long as nothing more is asked."""
    FAIL = "fail"
    SKIP = "skip"
    """It depends on something that failed, and would test what nobody wants."""


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at, what was found, and what to do about it."""

    name: str
    status: Status
    detail: str
    remedy: str = ""

    @classmethod
    def failed(cls, name: str, error: VoiceguardError, status: Status = Status.FAIL) -> Check:
        """An error of ours already says both."""
        return cls(name, status, str(error), error.hint)

    @classmethod
    def skipped(cls, name: str) -> Check:
        """It depends on the configuration, which is wrong."""
        return cls(name, Status.SKIP, "not looked at: it depends on the configuration")
