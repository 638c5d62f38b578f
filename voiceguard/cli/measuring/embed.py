"""``voiceguard embed``: embeddings of recordings, for people's own experiments."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voiceguard.audio.files import SoundFile
from voiceguard.cli.options import (
    ConfigOption,
    DeviceOption,
    JsonOption,
    ModelOption,
    StateDirOption,
)
from voiceguard.cli.output import explain, print_json, stdout
from voiceguard.cli.settings import configured
from voiceguard.encoder.running.layers import LayeredEncoder, check_labels
from voiceguard.errors import AudioError, EncoderError, ExitCode
from voiceguard.service.kit import assemble
from voiceguard.service.whole import Whole, embed_whole, over_pieces
from voiceguard.speech.gate import speech_segments
from voiceguard.speech.vad import make_vad
from voiceguard.types import SAMPLE_RATE_HZ, MonoBlock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from voiceguard.service.kit import Kit
    from voiceguard.types import Recorded


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

    A recording longer than 45 s is embedded half a minute at a time, and the mean given.

    With --features, what inner layers give comes instead, by label and not normalised.
    """
    settings = configured(config, state_dir=state_dir, model=model, device=device)
    kit = assemble(settings, overlap=False)
    compute = _embedding_of(kit) if features is None else _features_of(kit, features)
    num_failed = 0
    for file in files:
        try:
            recording = SoundFile(file, settings.audio.channel)
            whole = compute(_Speech(kit, recording) if vad else recording)
        except AudioError as error:
            num_failed += 1
            told = str(error)
            explain(told if str(file) in told else f"{file}: {told}", error.hint)
            continue
        vectors = whole.vectors
        if json_lines:
            faults = recording.faults()
            numbers = {name: [float(value) for value in each] for name, each in vectors.items()}
            print_json(
                {
                    "file": str(file),
                    "encoder": kit.encoder.info.encoder_id,
                    "seconds": round(whole.num_samples / SAMPLE_RATE_HZ, 3),
                    **(numbers if features is None else {"features": numbers}),
                    **({"audio_faults": faults} if faults else {}),
                }
            )
            continue
        for name, vector in vectors.items():
            head = " ".join(f"{value:+.3f}" for value in vector[:6])
            of = str(file) if features is None else f"{file}: {name}"
            stdout.print(f"{of}: {len(vector)} numbers: {head} ...", markup=False, soft_wrap=True)
    return int(ExitCode.FAILURE if num_failed else ExitCode.OK)


def _embedding_of(kit: Kit) -> Callable[[Recorded], Whole]:
    """What gives a recording's embedding, under that name."""
    return lambda recording: embed_whole(kit.encoder, recording)


def _features_of(kit: Kit, joined: str) -> Callable[[Recorded], Whole]:
    """What gives a recording's features by label.

    Raises:
        EncoderError: The encoder has none.
        UsageError: A label is unknown, empty or there twice.
    """
    encoder = kit.encoder
    if not isinstance(encoder, LayeredEncoder):
        raise EncoderError(
            f"encoder {encoder.info.name!r} has no features of inner layers: only ECAPA2 gives "
            "them by label",
            hint="Leave --features out, or choose an imported ECAPA2 with --model.",
        )
    labels = check_labels(joined.split("|"))
    return lambda recording: over_pieces(lambda piece: encoder.features(piece, labels), recording)


class _Speech:
    """The speech of a recording, its stretches spliced.

    Args:
        kit: Its detector and gate find it.
        file: The recording.
    """

    def __init__(self, kit: Kit, file: SoundFile) -> None:
        self._kit = kit
        self._file = file

    def __iter__(self) -> Iterator[MonoBlock]:
        """Yields a stretch at a time.

        Raises:
            AudioError: There is none.
        """
        settings, is_silent = self._kit.settings, True
        for segment in speech_segments(self._file, make_vad(settings.vad), settings.gate):
            is_silent = False
            yield MonoBlock(segment.samples)
        if is_silent:
            raise AudioError(
                f"no speech in {self._file.path}", hint="without --vad all of it is embedded"
            )
