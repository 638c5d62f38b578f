"""An ECAPA-TDNN or a CAM++ as an ONNX file that other programs, and voiceguard itself, can run.

In: a model's card and network. Out: ``FILE.onnx`` and its sidecar ``FILE.onnx.json``, which
``voiceguard models import`` and people read. The time axis is dynamic. Features are either outside
(the file takes what the front end gives) or inside (it takes the waveform).

Nothing is written before ONNX Runtime gave, for several lengths, what torch gives.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from voiceguard.encoder import golden
from voiceguard.encoder.card.program_config import Layout
from voiceguard.encoder.export import campplus_graph, ecapa_graph
from voiceguard.encoder.export.graph import FEATURES_INPUT, OUTPUT, WAVEFORM_INPUT, with_properties
from voiceguard.encoder.foreign.programs.sidecar import Sidecar, sidecar_path
from voiceguard.encoder.frontends.kaldi_config import KaldiFbankConfig
from voiceguard.encoder.frontends.log_mel import LogMel
from voiceguard.encoder.frontends.log_mel_config import LogMelConfig
from voiceguard.encoder.frontends.waveform import WaveformConfig
from voiceguard.encoder.networks.campplus_config import CamPlusPlusConfig
from voiceguard.encoder.networks.ecapa_tdnn import EcapaTdnn
from voiceguard.encoder.running.onnx_session import open_session
from voiceguard.errors import EncoderError, UsageError
from voiceguard.types import FRAME_S, SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

    from voiceguard.encoder.card.model_card import ModelCard
    from voiceguard.encoder.export.graph import Graph

MAX_RELATIVE_ERROR = 1e-3
"""Of the embedding's largest entry; a file that differs by more is not written."""
CHECKED_S = (1.0, 2.37, 4.0)
"""Lengths that are compared, besides the shortest that the encoder accepts."""


class Placement(StrEnum):
    """Where the features are computed."""

    OUTSIDE = "outside"
    """By whoever runs the file."""
    INSIDE = "inside"
    """By the file."""


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What was written, and how well it agrees."""

    path: Path
    sidecar_path: Path
    sidecar: Sidecar
    num_bytes: int
    max_relative_error: float
    """Largest difference from torch's embeddings, of each one's largest entry."""
    checked_s: tuple[float, ...]
    """For recordings of these lengths."""


def export_onnx(
    card: ModelCard, network: nn.Module, path: Path, *, features: Placement = Placement.OUTSIDE
) -> Exported:
    """Writes an encoder as ``path`` with its sidecar, after comparing it with torch.

    Args:
        card: The model's card.
        network: Its network, in evaluation mode on the CPU.
        path: ``*.onnx``; neither it nor its sidecar may exist yet.
        features: ``Placement.INSIDE`` is only for an ECAPA-TDNN with voiceguard's own log-mel
            features, and for a CAM++ with Kaldi's.

    Raises:
        UsageError: The path is taken, or is not called ``*.onnx``.
        EncoderError: Another architecture or (inside) front end; or what was exported
            disagrees with torch.
        OSError: The files can't be written.
    """
    _check_path(path)
    model = _model(card, network, features)
    sidecar = _description(card, features)
    content = _content(card, model)
    seconds = (max(card.min_window_s, FRAME_S), *CHECKED_S)
    error = _largest_error(content, card, network, sidecar, seconds)
    _check_error(error)
    _write(sidecar_path(path), sidecar.to_text().encode())
    try:
        _write(path, content)
    except OSError:  # a sidecar alone would be in the way of the next attempt
        sidecar_path(path).unlink(missing_ok=True)
        raise
    return Exported(
        path=path,
        sidecar_path=sidecar_path(path),
        sidecar=sidecar,
        num_bytes=len(content),
        max_relative_error=error,
        checked_s=seconds,
    )


def _model(card: ModelCard, network: nn.Module, placement: Placement) -> bytes:
    """The file of a network, with its features or without."""
    is_inside = placement is Placement.INSIDE
    if isinstance(network, EcapaTdnn):
        if is_inside and not isinstance(card.features, LogMelConfig):
            raise _not_inside(card, "voiceguard's own log_mel")
        inside = LogMel(card.features) if isinstance(card.features, LogMelConfig) else None
        return ecapa_graph.onnx_model(network, inside if is_inside else None)
    if isinstance(card.architecture, CamPlusPlusConfig):
        if is_inside and not isinstance(card.features, KaldiFbankConfig):
            raise _not_inside(card, "Kaldi's fbank")
        fbank = card.features if isinstance(card.features, KaldiFbankConfig) else None
        state = network.state_dict()

        def weights(graph: Graph, name: str) -> str:
            return graph.constant(state[name].numpy())

        return campplus_graph.onnx_model(card.architecture, weights, fbank if is_inside else None)
    raise EncoderError(
        f"encoder {card.name!r} is of the architecture {card.architecture.TYPE!r}; only an "
        "ECAPA-TDNN, of voiceguard or SpeechBrain, or a CAM++ of 3D-Speaker can be exported",
        hint="Choose another with --model; `voiceguard models list` shows them.",
    )


def _not_inside(card: ModelCard, only: str) -> EncoderError:
    return EncoderError(
        f"encoder {card.name!r} has features of type {card.features.TYPE!r}; only {only} can be "
        "put inside",
        hint="Export it with --features outside.",
    )


def _description(card: ModelCard, placement: Placement) -> Sidecar:
    inside = placement is Placement.INSIDE
    return Sidecar(
        input=WAVEFORM_INPUT if inside else FEATURES_INPUT,
        layout=Layout.WAVEFORM if inside else Layout.BANDS_TIME,
        features=WaveformConfig() if inside else card.features,
        output=OUTPUT,
        embedding_dim=card.architecture.embedding_dim,
        min_seconds=max(card.min_window_s, FRAME_S),
        licence=card.licence,
        trained_on=card.trained_on,
        commercial_use=card.commercial_use,
        source=f"exported from {card.name} ({card.encoder_id})",
    )


def _content(card: ModelCard, model: bytes) -> bytes:
    """The file, with what identifies it inside as well."""
    about = {
        "framework": "voiceguard",
        "encoder": card.name,
        "encoder_id": card.encoder_id,
        "sample_rate": str(SAMPLE_RATE_HZ),
        "output_dim": str(card.architecture.embedding_dim),
        "features": card.features.version,
        "licence": card.licence,
    }
    return with_properties(model, about)


def _largest_error(
    content: bytes,
    card: ModelCard,
    network: nn.Module,
    sidecar: Sidecar,
    seconds: Sequence[float],
) -> float:
    """The largest difference from torch, relative to each embedding's largest entry, or NaN."""
    session, _ = open_session(content, "the exported encoder")
    front_end = card.features.build()
    errors: list[Tensor] = []
    for length_s in seconds:
        samples = torch.from_numpy(golden.signal(length_s))
        with torch.inference_mode():
            features = front_end(samples).unsqueeze(0)  # (1, num_bands, frames)
            expected = network(features)
        given = samples.unsqueeze(0) if sidecar.layout is Layout.WAVEFORM else features
        feed = {sidecar.input: given.contiguous().numpy()}
        found = torch.from_numpy(session.run([OUTPUT], feed)[0])
        errors.append((found - expected).abs().max() / expected.abs().max())
    return float(torch.stack(errors).max())  # torch's: NaN is the largest of all


def _check_error(error: float) -> None:
    if not error <= MAX_RELATIVE_ERROR:
        raise EncoderError(
            f"the exported encoder differs from torch's by {error:.2g} of the embedding's largest "
            f"entry; at most {MAX_RELATIVE_ERROR:g} is accepted, so nothing was written",
            hint=f"Report it with the versions of torch ({torch.__version__}) and onnxruntime.",
        )


def _check_path(path: Path) -> None:
    if path.suffix.lower() != ".onnx":
        raise UsageError(f"{path} is not called *.onnx", hint="Choose another with --out.")
    if not path.parent.is_dir():
        raise UsageError(f"there is no directory {path.parent}", hint="Make it first.")
    for taken in (path, sidecar_path(path)):
        if taken.exists():
            raise UsageError(
                f"{taken} exists already", hint="Remove it, or choose another with --out."
            )


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all."""
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        partial = Path(file.name)
        try:
            file.write(content)
            file.flush()
            partial.chmod(0o644)  # a model is no secret
            partial.rename(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
