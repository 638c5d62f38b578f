"""Voice activity detectors, and the choice between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from voiceguard.errors import ConfigError
from voiceguard.speech.vad.energy import EnergyVad
from voiceguard.validation.ranges import SettingsTable

if TYPE_CHECKING:
    from collections.abc import Callable

    from voiceguard.protocols import VoiceActivityDetector
    from voiceguard.speech.vad.silero import SileroVad


@dataclass(frozen=True, slots=True, kw_only=True)
class VadConfig(SettingsTable):
    """Which detector decides what is speech, the [vad] table of voiceguard.toml."""

    backend: Literal["energy", "silero"] = "energy"
    """``energy`` costs next to nothing and hears music, dogs and chainsaws as speech; ``silero``
    mostly doesn't, for 1 % of a core more at all times."""
    energy_enter_db: float = 8.0
    """Above the noise floor: starts speech."""
    energy_exit_db: float = 5.0
    """Above the noise floor: a frame below it is no speech."""
    silero_enter: float = 0.5
    """Probability of speech that starts it."""
    silero_exit: float = 0.35
    """A frame with less probability is no speech."""

    def __post_init__(self) -> None:
        if self.backend not in {"energy", "silero"}:
            raise ValueError(f"backend must be energy or silero, not {self.backend}")
        pairs = (("energy_exit_db", "energy_enter_db", 40.0), ("silero_exit", "silero_enter", 1.0))
        for low, high, limit in pairs:
            exit_score, enter_score = getattr(self, low), getattr(self, high)
            if not 0 < exit_score <= enter_score < limit:
                raise ValueError(
                    f"{low} and {high} must be 0 < {low} <= {high} < {limit:g}, "
                    f"not {exit_score:g} and {enter_score:g}"
                )


def make_confirming_vad(config: VadConfig | None = None) -> Callable[[], SileroVad] | None:
    """Makes fresh detectors that tell speech from music, beside one that doesn't.

    Returns:
        None where silero is not installed, or is the detector itself.
    """
    config = config or VadConfig()
    if config.backend == "silero":
        return None
    try:
        from voiceguard.speech.vad.silero import SileroVad  # noqa: PLC0415  # needs the extra

        SileroVad(enter_score=config.silero_enter, exit_score=config.silero_exit)
    except ConfigError:
        return None
    return lambda: SileroVad(enter_score=config.silero_enter, exit_score=config.silero_exit)


def is_music_heard_as_speech(config: VadConfig | None = None) -> bool:
    """Whether nothing here tells the two apart."""
    config = config or VadConfig()
    return config.backend != "silero" and make_confirming_vad(config) is None


def make_vad(config: VadConfig | None = None) -> VoiceActivityDetector:
    """A fresh detector for one stream.

    Raises:
        ConfigError: The backend's extra is not installed.
    """
    config = config or VadConfig()
    if config.backend == "silero":
        from voiceguard.speech.vad.silero import SileroVad  # noqa: PLC0415  # needs the extra

        return SileroVad(enter_score=config.silero_enter, exit_score=config.silero_exit)
    return EnergyVad(enter_db=config.energy_enter_db, exit_db=config.energy_exit_db)
