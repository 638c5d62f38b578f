"""``voiceguard embed``: embeddings of recordings, for people's own experiments."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voiceguard.cli.options import ConfigOption, DeviceOption, JsonOption, ModelOption, overrides
from voiceguard.cli.output import print_json, stderr, stdout
from voiceguard.errors import AudioError, ExitCode

if TYPE_CHECKING:
    from voiceguard.compose import Kit
    from voiceguard.types import Samples


def embed(
    files: Annotated[list[Path], typer.Argument(help="Recordings, in any container.")],
    vad: Annotated[
        bool, typer.Option("--vad", help="Trim to speech first; the default embeds all of it.")
    ] = False,
    config: ConfigOption = None,
    model: ModelOption = None,
    device: DeviceOption = None,
    json_lines: JsonOption = False,
) -> int:
    """Embed recordings: one vector each, L2 norm 1.

    With --json, one object per line: file, encoder, seconds, embedding. A file that cannot be
    embedded is named on standard error, the others go on, and the exit code is 1.
    """
    from voiceguard.audio.files import load_audio
    from voiceguard.compose import assemble
    from voiceguard.logs import configure_logging
    from voiceguard.settings import load_settings

    settings = load_settings(config, **overrides(model=model, device=device))
    configure_logging(settings.log)
    kit = assemble(settings)
    num_failed = 0
    for file in files:
        try:
            samples = load_audio(file, channel=settings.audio.channel)
            if vad:
                samples = _speech_of(kit, samples, file)
            embedding = kit.encoder.embed(samples)
        except AudioError as error:
            num_failed += 1
            told = f"error: {error}" if str(file) in str(error) else f"error: {file}: {error}"
            stderr.print(told, f"hint: {error.hint}", sep="\n", markup=False, soft_wrap=True)
            continue
        if json_lines:
            print_json(
                {
                    "file": str(file),
                    "encoder": kit.encoder.info.encoder_id,
                    "seconds": round(len(samples) / 16_000, 3),
                    "embedding": [float(value) for value in embedding],
                }
            )
        else:
            head = " ".join(f"{value:+.3f}" for value in embedding[:6])
            stdout.print(f"{file}: {len(embedding)} numbers: {head} ...", markup=False)
    return int(ExitCode.FAILURE if num_failed else ExitCode.OK)


def _speech_of(kit: Kit, samples: Samples, file: Path) -> Samples:
    from voiceguard.gate import trim_to_speech
    from voiceguard.vad import make_vad

    speech = trim_to_speech(samples, make_vad(kit.settings.vad), kit.settings.gate).samples
    if not len(speech):
        raise AudioError(f"no speech in {file}", hint="without --vad all of it is embedded")
    return speech
