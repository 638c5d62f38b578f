"""ECAPA2 as its authors publish it: the TorchScript file ``ecapa2.pt``.

In: the file. Out: a program that takes the 16 kHz waveform, and a card with what is documented of
it. It is not run here: see ``encoder.running``.

Source: J. Thienpondt, K. Demuynck, "ECAPA2: a hybrid neural network architecture and training
strategy for robust speaker embeddings", ASRU 2023 (arXiv 2401.08342), and the usage guide beside
the published file (hub id Jenthe/ECAPA2, licence CC BY-NC 4.0).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from voiceguard.encoder.card.program_config import ECAPA2_DIMS, Ecapa2Config
from voiceguard.encoder.foreign.imported import Imported
from voiceguard.encoder.foreign.programs.sidecar import sidecar_path
from voiceguard.encoder.foreign.programs.torchscript_archive import is_torchscript, read_archive
from voiceguard.encoder.frontends.waveform import WaveformConfig
from voiceguard.errors import EncoderError
from voiceguard.types import FRAME_S

if TYPE_CHECKING:
    from pathlib import Path

NAME = "ECAPA2 (TorchScript)"

_LABELS = tuple(label.encode() for label in ECAPA2_DIMS if "_" in label)
"""Those that no other program has by chance, in its source or among its constants."""
_STEM = b"gfe"
"""What is left of them where a program puts its labels together."""


def recognises(path: Path) -> bool:
    """Whether it is TorchScript that is called ``ecapa2*`` or knows ECAPA2's labels.

    With a sidecar beside it, it is what that says.
    """
    if sidecar_path(path).is_file() or not is_torchscript(path):
        return False
    return path.name.lower().startswith("ecapa2") or _knows_labels(path)


def read(path: Path) -> Imported:
    """See ``imported.Reader.read``; nothing of it is run.

    Raises:
        EncoderError: Truncated, damaged, or a program that lacks ECAPA2's labels.
    """
    if _STEM not in read_archive(path).source:
        raise EncoderError(
            f"{path} is TorchScript, but not ECAPA2: its program nowhere says "
            f"{' or '.join(label.decode() for label in _LABELS)}",
            hint=f"Another model needs a description in {sidecar_path(path).name} beside it.",
        )
    architecture = Ecapa2Config()
    dims = ", ".join(f"{label} {dim}" for label, dim in ECAPA2_DIMS.items())
    found = (
        f"ECAPA2: a TorchScript program that takes the waveform; features by label: {dims}",
        "its licence does not allow commercial use",
    )
    return Imported(
        architecture=architecture,
        features=WaveformConfig(),
        min_window_s=round(architecture.min_frames * FRAME_S, 3),
        origin_format=NAME,
        licence="CC BY-NC 4.0 (non-commercial), as published by its authors",
        trained_on="as its authors describe: arXiv 2401.08342",
        commercial_use=False,
        program=path,
        found=found,
    )


def _knows_labels(path: Path) -> bool:
    try:
        source = read_archive(path).source
    except EncoderError:
        return False
    return all(label in source for label in _LABELS)
