"""What people's rules say of one speaker, as a verdict takes it into account. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """Whether a speaker may be accepted, there and then, and how sure it must be."""

    rule: str
    """The name of the rule that says so; several, where none of them allows it."""
    is_allowed: bool
    p_fa: float | None = None
    """As ``PolicyConfig.p_fa``; the lower one counts."""
    far_per_hour: float | None = None
    """Likewise."""
