"""Finds out which format a checkpoint has, and reads it.

In: a path that somebody names. Out: what its reader found. Readers are asked in order, the most
particular layout first; each is imported only to be asked.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, cast

from voiceguard.errors import EncoderError
from voiceguard.paths import is_there

if TYPE_CHECKING:
    from pathlib import Path

    from voiceguard.encoder.foreign.imported import Imported, Reader

READERS = {
    "speechbrain": "a SpeechBrain directory (embedding_model.ckpt and hyperparams.yaml)",
    "nemo.archive": "an NVIDIA NeMo archive (.nemo)",
    "taoruijie": "an unofficial ECAPA-TDNN (.model or .pt with speaker_encoder.* tensors)",
    "threed_speaker": "3D-Speaker's CAM++ (.pt with head.* and xvector.* tensors)",
    "programs.ecapa2": "ECAPA2 (ecapa2.pt, TorchScript)",
    "programs.onnx": "a WeSpeaker or 3D-Speaker export, or any .onnx file with a sidecar that "
    "describes it",
    "programs.torchscript": "a TorchScript file with a sidecar that describes it",
}
"""Modules of this folder in the order in which they are asked, and what each looks for."""


def reader_of(path: Path) -> Reader:
    """The reader of a checkpoint's format.

    Raises:
        EncoderError: There is nothing at that path, or nothing that is known.
        StateError: One may not look there.
    """
    if not is_there(path):
        raise EncoderError(
            f"there is no file or directory {path} to import",
            hint="Name the file or directory that was downloaded or trained.",
        )
    for name in READERS:
        try:
            module = importlib.import_module(f"voiceguard.encoder.foreign.{name}")
        except ModuleNotFoundError as error:
            if error.name != "torch":
                raise
            continue  # without it that format can't be read
        reader = cast("Reader", module)
        try:
            if reader.recognises(path):
                return reader
        except OSError as error:
            raise EncoderError(
                f"{path} cannot be read: {error.strerror}",
                hint="Mend its permissions, or fetch it again.",
            ) from error
    looked_for = "; ".join(READERS.values())
    raise EncoderError(
        f"{path} is no encoder of a known format. Looked for: {looked_for}",
        hint="A truncated file is not recognised either: compare its size with the publisher's.",
    )


def read(path: Path) -> Imported:
    """Reads a checkpoint of any known format, see ``imported.Reader.read``."""
    return reader_of(path).read(path)
