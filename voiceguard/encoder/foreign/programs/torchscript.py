"""Any other TorchScript module that takes a waveform or features, described by its sidecar.

In: ``FILE.pt`` and ``FILE.pt.json``. Out: a program. It is not run here: see ``encoder.running``.
(ONNX files, with and without a sidecar, are ``onnx.py``'s.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from voiceguard.encoder.card.program_config import TorchScriptConfig
from voiceguard.encoder.foreign.programs.sidecar import read_sidecar, sidecar_path
from voiceguard.encoder.foreign.programs.torchscript_archive import is_torchscript, read_archive
from voiceguard.errors import EncoderError

if TYPE_CHECKING:
    from pathlib import Path

    from voiceguard.encoder.foreign.imported import Imported

NAME = "TorchScript with a sidecar"


def recognises(path: Path) -> bool:
    """Whether it is TorchScript, or has a sidecar that says it is."""
    return is_torchscript(path) or (
        path.is_file() and sidecar_path(path).is_file() and path.suffix.lower() != ".onnx"
    )


def read(path: Path) -> Imported:
    """See ``imported.Reader.read``; nothing of it is run.

    Raises:
        EncoderError: Truncated or damaged; the sidecar is missing, malformed, or names an input or
            output, which a TorchScript module doesn't.
    """
    read_archive(path)
    sidecar = read_sidecar(path)
    if sidecar is None:
        raise EncoderError(
            f"{path} is TorchScript of an unknown model, and {sidecar_path(path).name} is not "
            "beside it",
            hint='Describe it there: see docs/encoders.md, "Describe one".',
        )
    if sidecar.input is not None or sidecar.output is not None:
        raise EncoderError(
            f"{sidecar_path(path)} names an input or output; a TorchScript module has one input "
            "and one output, without names",
            hint="Leave `input` and `output` out.",
        )
    architecture = TorchScriptConfig(
        layout=sidecar.layout, embedding_dim=sidecar.embedding_dim, min_frames=sidecar.min_frames
    )
    found = (
        f"a TorchScript program, input {sidecar.layout.value}, {sidecar.embedding_dim} dimensions",
        f"front end {sidecar.features.version}, by {sidecar_path(path).name}",
    )
    return sidecar.imported(path, architecture, origin_format=NAME, found=found)
