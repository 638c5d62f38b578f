"""The [overlap] table of voiceguard.toml: whether anybody listens for voices that speak at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from voiceguard.validation.ranges import SettingsTable


@dataclass(frozen=True, slots=True, kw_only=True)
class OverlapConfig(SettingsTable):
    """Several voices at once, the [overlap] table of voiceguard.toml."""

    detector: Literal["on", "off"] = "on"
    """on: where two people speak at once the decision is inconclusive, more_than_one_voice; off:
    only a change of speaker is noticed."""

    def __post_init__(self) -> None:
        if self.detector not in {"on", "off"}:
            raise ValueError(f"detector must be on or off, not {self.detector!r}")
