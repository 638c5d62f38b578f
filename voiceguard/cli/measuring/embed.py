"""``voiceguard embed``: embeddings of recordings, for people's own experiments."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voiceguard.audio.files import load_audio
from voiceguard.cli.options import (
    ConfigOption,
    DeviceOption,
    JsonOption,
    ModelOption,
    StateDirOption,
)
from voiceguard.cli.output import print_json, stderr, stdout
from voiceguard.cli.settings import configured
from voiceguard.encoder.running.torchscript import Ecapa2Encoder, check_labels
from voiceguard.errors import AudioError, EncoderError, ExitCode
from voiceguard.service.kit import assemble
from voiceguard.speech.gate import trim_to_speech
from voiceguard.speech.vad import make_vad

if TYPE_CHECKING:
    from collections.abc import Callable

    from voiceguard.service.kit import Kit
    from voiceguard.types import Embedding, Samples


def embed(
    files: Annotated[list[Path], typer.Argument(help="Recordings, in any container.")],
    vad: Annotated[
        bool, typer.Option("--vad", help="Trim to speech first; the default embeds all of it.")
    ] = False,
    features: Annotated[
        str | None,
        typer.Option(
            "--features",
            metavar="LABEL|LABEL...",
            help="Statistics of inner layers instead, of encoders that have them (ECAPA2): gfe_1, "
            "gfe_2, pool, attention, embedding; several joined with |.",
            show_default=False,
        ),
    ] = None,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    model: ModelOption = None,
    device: DeviceOption = None,
    json_lines: JsonOption = False,
) -> int:
    """Embed recordings: one vector each, L2 norm 1.

    With --json, one object per line: file, encoder, seconds, embedding. A file that cannot be
    embedded is named on standard error, the others go on, and the exit code is 1.

    With --features, what inner layers give comes instead, by label and not normalised.
    """
    settings = configured(config, state_dir=state_dir, model=model, device=device)
    kit = assemble(settings)
    compute = _embedding_of(kit) if features is None else _features_of(kit, features)
    num_failed = 0
    for file in files:
        try:
            samples = load_audio(file, channel=settings.audio.channel)
            if vad:
                samples = _speech_of(kit, samples, file)
            vectors = compute(samples)
        except AudioError as error:
            num_failed += 1
            told = f"error: {error}" if str(file) in str(error) else f"error: {file}: {error}"
            stderr.print(told, f"hint: {error.hint}", sep="\n", markup=False, soft_wrap=True)
            continue
        if json_lines:
            numbers = {name: [float(value) for value in each] for name, each in vectors.items()}
            print_json(
                {
                    "file": str(file),
                    "encoder": kit.encoder.info.encoder_id,
                    "seconds": round(len(samples) / 16_000, 3),
                    **(numbers if features is None else {"features": numbers}),
                }
            )
            continue
        for name, vector in vectors.items():
            head = " ".join(f"{value:+.3f}" for value in vector[:6])
            of = str(file) if features is None else f"{file}: {name}"
            stdout.print(f"{of}: {len(vector)} numbers: {head} ...", markup=False, soft_wrap=True)
    return int(ExitCode.FAILURE if num_failed else ExitCode.OK)


def _embedding_of(kit: Kit) -> Callable[[Samples], dict[str, Embedding]]:
    """What gives a recording's embedding, under that name."""
    return lambda samples: {"embedding": kit.encoder.embed(samples)}


def _features_of(kit: Kit, joined: str) -> Callable[[Samples], dict[str, Embedding]]:
    """What gives a recording's features by label.

    Raises:
        EncoderError: The encoder has none.
        UsageError: A label is unknown, empty or there twice.
    """
    encoder = kit.encoder
    if not isinstance(encoder, Ecapa2Encoder):
        raise EncoderError(
            f"encoder {encoder.info.name!r} has no features of inner layers: only ECAPA2 gives "
            "them by label",
            hint="Leave --features out, or choose an imported ECAPA2 with --model.",
        )
    labels = check_labels(joined.split("|"))
    return lambda samples: encoder.features(samples, labels)


def _speech_of(kit: Kit, samples: Samples, file: Path) -> Samples:
    speech = trim_to_speech(samples, make_vad(kit.settings.vad), kit.settings.gate).samples
    if not len(speech):
        raise AudioError(f"no speech in {file}", hint="without --vad all of it is embedded")
    return speech
