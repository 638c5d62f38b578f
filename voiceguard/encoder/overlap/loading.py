"""Loads what hears overlap, if the settings want it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voiceguard.encoder.overlap.config import OverlapConfig
    from voiceguard.protocols import OverlapDetector


def load_overlap(config: OverlapConfig) -> OverlapDetector | None:
    """The detector; None where none is wanted.

    Raises:
        EncoderError: The weights are missing or damaged, or can't be run: decisions without it
            would be others.
    """
    if config.detector == "off":
        return None
    from voiceguard.encoder.overlap.detector import NetworkDetector  # noqa: PLC0415 - not where off
    from voiceguard.encoder.overlap.weights import read_weights  # noqa: PLC0415

    return NetworkDetector(read_weights())
