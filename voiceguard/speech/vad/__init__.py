"""Voice activity detectors, and the choice between them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal

import structlog

from voiceguard.errors import ConfigError
from voiceguard.speech.vad.cascade import CascadeVad
from voiceguard.speech.vad.energy import EnergyVad
from voiceguard.speech.vad.silero import SileroVad
from voiceguard.validation.ranges import SettingsTable

if TYPE_CHECKING:
    from voiceguard.protocols import VoiceActivityDetector

log = structlog.get_logger(__name__)

TRIGGER_BEGINS_DB = 12.0
"""Above a cascade's first noise floor: a stream may begin in mid-word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VadConfig(SettingsTable):
    """Which detector decides what is speech, the [vad] table of voiceguard.toml."""

    backend: Literal["cascade", "energy", "silero"] = "cascade"
    """``cascade`` has ``silero`` judge what a sensitive ``energy`` hears; ``energy`` alone costs
    next to nothing and hears music, dogs and chainsaws as speech; ``silero`` alone listens at
    all times."""
    cascade_enter_db: float = 4.0
    """Above the noise floor: has the cascade's judge listen, and starts speech if that agrees."""
    cascade_exit_db: float = 2.5
    """Above the noise floor: a frame below it is no speech to the cascade."""
    energy_enter_db: float = 8.0
    """Above the noise floor: starts speech."""
    energy_exit_db: float = 5.0
    """Above the noise floor: a frame below it is no speech."""
    silero_enter: float = 0.5
    """Probability of speech that starts it; the cascade's judge goes by it too."""
    silero_exit: float = 0.35
    """A frame with less probability is no speech."""

    def __post_init__(self) -> None:
        if self.backend not in {"cascade", "energy", "silero"}:
            raise ValueError(f"backend must be cascade, energy or silero, not {self.backend}")
        pairs = (
            ("cascade_exit_db", "cascade_enter_db", 40.0),
            ("energy_exit_db", "energy_enter_db", 40.0),
            ("silero_exit", "silero_enter", 1.0),
        )
        for low, high, limit in pairs:
            exit_score, enter_score = getattr(self, low), getattr(self, high)
            if not 0 < exit_score <= enter_score < limit:
                raise ValueError(
                    f"{low} and {high} must be 0 < {low} <= {high} < {limit:g}, "
                    f"not {exit_score:g} and {enter_score:g}"
                )


def make_vad(config: VadConfig | None = None) -> VoiceActivityDetector:
    """A fresh detector for one stream.

    A cascade without its judge is the energy detector, which is said once.

    Raises:
        ConfigError: The backend is silero, and what it needs is not installed.
    """
    config = config or VadConfig()
    if config.backend == "silero":
        return _judge(config)
    if config.backend == "cascade":
        try:
            judge = _judge(config)
        except ConfigError as error:
            tell_of_fallback(str(error), error.hint)
        else:
            trigger = EnergyVad(
                enter_db=config.cascade_enter_db,
                exit_db=config.cascade_exit_db,
                first_below_db=TRIGGER_BEGINS_DB,
            )
            return CascadeVad(trigger, judge)
    return EnergyVad(enter_db=config.energy_enter_db, exit_db=config.energy_exit_db)


def make_take_vad(config: VadConfig | None = None) -> VoiceActivityDetector:
    """A fresh detector for one take: as ``make_vad``, but music is left out wherever it can be.

    Raises:
        ConfigError: The backend is silero, and what it needs is not installed.
    """
    config = config or VadConfig()
    if config.backend == "energy" and why_no_judge() is None:
        return CascadeVad(make_vad(config), _judge(config))
    return make_vad(config)


def why_no_judge() -> ConfigError | None:
    """What keeps speech from being told from music here; None: nothing."""
    try:
        _judge(VadConfig())
    except ConfigError as error:
        return error
    return None


def _judge(config: VadConfig) -> SileroVad:
    return SileroVad(enter_score=config.silero_enter, exit_score=config.silero_exit)


@cache
def tell_of_fallback(reason: str, hint: str) -> None:
    """Once, however many streams there are."""
    log.warning("speech_judge_missing", reason=reason, hint=hint, instead="energy")
