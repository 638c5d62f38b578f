"""``voiceguard models use``: another encoder from now on, and what that means for everything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from voiceguard.cli.models.names import check_here
from voiceguard.cli.options import ConfigOption, JsonOption, StateDirOption, overrides
from voiceguard.cli.output import print_json, stderr, stdout
from voiceguard.errors import EncoderError, VoiceguardError

if TYPE_CHECKING:
    from voiceguard.settings import Settings


def use_model(
    name: Annotated[
        str, typer.Argument(metavar="NAME|default", help="An encoder that is installed or shipped.")
    ],
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Make the daemon and every command use this encoder; "default": the one that is shipped.

    Voiceprints of another encoder are refused by name until `voiceguard voiceprints migrate` or a
    new enrollment, and an encoder without a calibration decides nothing until `voiceguard
    calibrate`. A running daemon goes on with the old one until it is restarted.
    """
    from voiceguard.encoder.library import DEFAULT_MODEL, resolve_name, stated_encoder_id, use
    from voiceguard.service.kit import installed_in
    from voiceguard.settings import load_settings

    settings = load_settings(config, **overrides(state_dir=state_dir))
    directory = installed_in(settings)
    if name != "default":
        name = check_here(name, directory)
    if stated_encoder_id(name if name != "default" else DEFAULT_MODEL, directory) is None:
        raise EncoderError(
            f"the card of {name} is missing or damaged, so it can't be used",
            hint=f"`voiceguard models verify {name}` says more.",
        )
    use(name, directory)
    chosen = resolve_name("default", directory)
    known = _consequences(settings, chosen)
    if json_lines:
        print_json({"name": chosen, **known})
        return
    stdout.print(f"in use: [bold]{escape(chosen)}[/], encoder id {known['encoder_id'] or '?'}")
    if known["overruled_by"] is not None:
        stderr.print(
            f"[yellow]not yet:[/] the configuration names encoder.model = "
            f"{escape(repr(known['overruled_by']))}, which comes first",
            soft_wrap=True,
        )
    if not known["is_calibrated"]:
        stderr.print(
            "it has no calibration: every decision is inconclusive (uncalibrated) until "
            "`voiceguard calibrate` made one; embeddings, scores and `voiceguard evaluate` work",
            soft_wrap=True,
        )
    for refused in known["other_voiceprints"]:
        stderr.print(f"{escape(refused['reason'])}: {escape(refused['hint'])}", soft_wrap=True)
    stderr.print("A daemon that is running goes on with the old one until it is restarted.")


def _consequences(settings: Settings, chosen: str) -> dict[str, Any]:
    """What no longer fits, for machines. By cards and headers: nobody waits for torch."""
    from voiceguard.encoder.library import calibration_path, stated_encoder_id
    from voiceguard.logs import configure_logging
    from voiceguard.paths import own_calibration_file, state_dir
    from voiceguard.service.kit import installed_in, open_store

    configure_logging(settings.log)
    directory = installed_in(settings)
    encoder_id = stated_encoder_id(chosen, directory)
    own = own_calibration_file(state_dir(settings.state_dir), encoder_id or "-")
    refused = []
    store = open_store(settings)
    try:
        for voiceprint in store.load_all().voiceprints:
            if encoder_id is not None and voiceprint.encoder_id != encoder_id:
                error = store.of_another_encoder(voiceprint, encoder_id)
                refused.append(
                    {"speaker": voiceprint.speaker, "reason": str(error), "hint": error.hint}
                )
    except VoiceguardError as error:  # a lost key: the choice is made, and that is another matter
        stderr.print(f"the voiceprints can't be looked at: {escape(str(error))}", soft_wrap=True)
    overruling = settings.encoder.model
    return {
        "encoder_id": encoder_id,
        "is_calibrated": own.is_file() or calibration_path(chosen, directory).is_file(),
        "other_voiceprints": refused,
        "overruled_by": None if overruling in {"default", chosen} else overruling,
    }
