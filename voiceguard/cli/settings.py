"""The settings in force for a command: its options come first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from voiceguard.cli.options import overrides
from voiceguard.logs import Words, configure_logging
from voiceguard.settings import Settings, load_settings


def configured(
    config: Path | None,
    in_words: Words | None = None,
    *,
    state_dir: Path | None = None,
    model: str | None = None,
    device: str | None = None,
    runtime: str | None = None,
    vad_backend: str | None = None,
    **tables: Any,  # noqa: ANN401 - as the settings have them
) -> Settings:
    """Loads the settings, and sets logging up as they say.

    Args:
        config: The file, instead of the usual places.
        in_words: What makes a sentence of an event for a person at a terminal; None: the log is
            as the settings say.
        state_dir: As the options of that name, as are model, device, runtime and vad_backend.
        model: None: as configured.
        device: Likewise.
        runtime: Likewise.
        vad_backend: Likewise.
        tables: What other options say, nested as the settings are; None inside stays unset.

    Raises:
        ConfigError: A setting is wrong, or the file can't be read.
    """
    shared = overrides(
        state_dir=state_dir, model=model, device=device, runtime=runtime, vad_backend=vad_backend
    )
    settings = load_settings(config, **shared, **tables)
    configure_logging(settings.log, in_words)
    return settings
