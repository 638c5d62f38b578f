"""NVIDIA NeMo's ``.nemo`` archives of speaker models: TitaNet, SpeakerNet and NeMo's ECAPA-TDNN.

In: a ``.tar`` or ``.tar.gz`` with ``model_config.yaml`` and ``model_weights.ckpt``. Out: our
architecture and features, and the tensors by our names. Nothing is unpacked to disk, constructed
or run; the configuration is plain data and is checked against the tensors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from voiceguard.encoder.card import native
from voiceguard.encoder.foreign.imported import Imported
from voiceguard.encoder.foreign.nemo.config import read_config
from voiceguard.encoder.foreign.nemo.tensors import check_features, to_native
from voiceguard.encoder.foreign.safe.archives import is_tar, read_members
from voiceguard.encoder.foreign.safe.reading import MAX_YAML_BYTES, tensors_from, yaml_from
from voiceguard.encoder.networks.nemo_conv import NemoConvConfig
from voiceguard.errors import EncoderError

if TYPE_CHECKING:
    from pathlib import Path

    from voiceguard.encoder.frontends.nemo import NemoMelConfig
    from voiceguard.encoder.networks.nemo_ecapa import NemoEcapaConfig

NAME = "NVIDIA NeMo"

CONFIG = "model_config.yaml"
WEIGHTS = "model_weights.ckpt"
MOST_WEIGHTS_BYTES = 2**30
"""The largest published speaker model, TitaNet large, has 0.1 of it."""

MIN_WINDOW_S = 0.5
"""NeMo has no limit; shorter speech than this says little about who speaks."""


def recognises(path: Path) -> bool:
    """Whether a file is called ``.nemo`` or begins like an archive; or a folder's only one is."""
    path = _archive(path)
    return path.is_file() and (path.suffix.lower() == ".nemo" or is_tar(path))


def _archive(path: Path) -> Path:
    inside = list(path.glob("*.nemo")) if path.is_dir() else []
    return inside[0] if len(inside) == 1 else path


def read(path: Path) -> Imported:
    """See ``imported.Reader.read``.

    Raises:
        EncoderError: The archive is damaged, incomplete or hostile, holds another kind of model,
            or has an option that would change embeddings and that voiceguard does not follow.
    """
    path = _archive(path)
    members = read_members(path, {CONFIG: MAX_YAML_BYTES, WEIGHTS: MOST_WEIGHTS_BYTES})
    config = yaml_from(members[CONFIG], where=f"{path}: {CONFIG}")
    try:
        architecture, features = read_config(config)
    except ValueError as error:
        raise EncoderError(
            f"{path} is no speaker model that voiceguard computes: {error}",
            hint="Speaker models of NeMo are TitaNet, SpeakerNet and ECAPA-TDNN, with their "
            "published configurations.",
        ) from error
    tensors = tensors_from(members[WEIGHTS], where=f"{path}: {WEIGHTS}")
    try:
        check_features(tensors, features)
        state = to_native(tensors, architecture)
    except ValueError as error:
        raise EncoderError(
            f"{path}: {CONFIG} and {WEIGHTS} do not belong together: {error}",
            hint="The file is damaged, or one of the two was replaced; fetch it again.",
        ) from error
    return Imported(
        architecture=architecture,
        features=features,
        min_window_s=MIN_WINDOW_S,
        origin_format=NAME,
        licence="not stated in the file; ask its publisher",
        trained_on="not stated in the file",
        network=native.build(architecture, state, found_in=f"{path}: {WEIGHTS}"),
        found=_found(architecture, features),
    )


def _found(
    architecture: NemoConvConfig | NemoEcapaConfig, features: NemoMelConfig
) -> tuple[str, ...]:
    if isinstance(architecture, NemoConvConfig):
        kind = "separable convolutions" if architecture.blocks[0].is_separable else "convolutions"
        widths = [block.filters for block in architecture.blocks]
        kernels = [block.kernel_size for block in architecture.blocks]
        encoder = f"NeMo ConvASREncoder (TitaNet, SpeakerNet): {kind}, {len(widths)} blocks"
    else:
        widths, kernels = list(architecture.channels), list(architecture.kernel_sizes)
        encoder = f"NeMo ECAPA-TDNN: {len(widths) - 2} blocks"
    decoder = architecture.decoder
    bands = (
        f"{features.num_bands} mel bands of {features.window_samples}-sample windows, normalised"
    )
    return (
        f"{encoder}, channels {'/'.join(map(str, widths))}, kernels {'/'.join(map(str, kernels))}",
        f"{decoder.pooling} pooling, {decoder.embedding_dim} dimensions",
        bands,
    )
