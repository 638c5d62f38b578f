"""3D-Speaker's CAM++ checkpoints: a ``.pt`` file, a plain table of tensors.

In: the file, zipped by ``torch.save``. Out: sizes read from the tensors' shapes, the tensors under
our names, and the features of that project's recipe, of which the file itself says nothing.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from voiceguard.encoder.card.native import check_shapes
from voiceguard.encoder.foreign.catalogue import of_sha256
from voiceguard.encoder.foreign.imported import Imported
from voiceguard.encoder.foreign.safe.files import read_limited
from voiceguard.encoder.foreign.safe.tensor_records import (
    MAX_BYTES,
    index_of,
    read_arrays,
)
from voiceguard.encoder.frontends.kaldi_config import KaldiFbankConfig
from voiceguard.encoder.networks.campplus_config import CamPlusPlusConfig
from voiceguard.errors import EncoderError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

NAME = "CAM++ (3D-Speaker layout)"

MIN_WINDOW_S = 0.5
"""Ours: the project states none."""

_MARKS = (b"head.conv1.weight", b"xvector.tdnn.linear.weight", b"cam_layer.linear_local.weight")

_LAYOUT = "Only 3D-Speaker's CAM++ is read."

_OURS_BY_THEIRS = (
    (r"^head\.conv1\.", "head.conv_in."),
    (r"^head\.bn1\.", "head.norm_in."),
    (r"^head\.conv2\.", "head.conv_out."),
    (r"^head\.bn2\.", "head.norm_out."),
    (r"^head\.layer(\d+)\.", r"head.stages.\1."),
    (r"\.bn([12])\.", r".norm\1."),
    (r"^xvector\.tdnn\.linear\.", "input_layer."),
    (r"^xvector\.tdnn\.nonlinear\.batchnorm\.", "input_norm."),
    (r"^xvector\.block(\d+)\.tdnnd(\d+)\.", r"blocks.\1.layers.\2."),
    (r"\.nonlinear1\.batchnorm\.", ".input_norm."),
    (r"(layers\.\d+)\.linear1\.", r"\1.bottleneck."),
    (r"\.nonlinear2\.batchnorm\.", ".norm."),
    (r"\.cam_layer\.linear_local\.", ".local."),
    (r"\.cam_layer\.linear1\.", ".mask_hidden."),
    (r"\.cam_layer\.linear2\.", ".mask."),
    (r"^xvector\.transit(\d+)\.linear\.", r"blocks.\1.transition."),
    (r"^xvector\.transit(\d+)\.nonlinear\.batchnorm\.", r"blocks.\1.transition_norm."),
    (r"^xvector\.out_nonlinear\.batchnorm\.", "output_norm."),
    (r"^xvector\.dense\.linear\.", "projection."),
    (r"^xvector\.dense\.nonlinear\.batchnorm\.", "embedding_norm."),
)
_COUNTED = re.compile(r"\b(stages|blocks|layers)\.(\d+)\b")
"""From 1 there (but a stage's layers), from 0 here."""


def recognises(path: Path) -> bool:
    """Whether the names of its tensors are there; nothing is unpickled."""
    index = index_of(path)
    return all(mark in index for mark in _MARKS)


def read(path: Path) -> Imported:
    """Reads the file, see ``imported.Reader.read``."""
    content = read_limited(path, MAX_BYTES)
    tensors = read_arrays(content, where=str(path))
    try:
        arrays = to_native(tensors)
        architecture = sizes_of(arrays)
    except KeyError as error:
        raise EncoderError(
            f"{path} has no tensor for {error}: it is of another network", hint=_LAYOUT
        ) from error
    except (ValueError, IndexError) as error:
        raise EncoderError(f"{path}: {error}", hint=_LAYOUT) from error
    found = {key: array.shape for key, array in arrays.items()}
    if fault := check_shapes(architecture.shapes(), found):
        raise EncoderError(f"{path} {fault}", hint=_LAYOUT)
    features = KaldiFbankConfig(num_bands=architecture.num_bands)
    known = of_sha256(digest := hashlib.sha256(content).hexdigest())
    layers = ", ".join(map(str, architecture.block_layers))
    imported = Imported(
        architecture=architecture,
        features=features,
        min_window_s=MIN_WINDOW_S,
        origin_format=NAME,
        arrays=arrays,
        found=(
            f"{NAME}, blocks of {layers} layers, {architecture.embedding_dim} dimensions",
            f"{features.num_bands} Kaldi log-mel bands, computed as 3D-Speaker does",
            (
                f"its sha256, {digest}, is none of the catalogue's: licence and training not known"
                if known is None
                else f"{known.name} of the catalogue, by its sha256: licence {known.licence}; "
                f"{known.attribution}"
            ),
        ),
    )
    return imported if known is None else known.described(imported)


def to_native(tensors: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Renames the tensors to those of ``CamPlusPlus.state_dict()``, of any shape.

    Raises:
        ValueError: Two would have the same name.
    """
    native: dict[str, NDArray[Any]] = {}
    for theirs, tensor in tensors.items():
        ours = theirs
        for pattern, replacement in _OURS_BY_THEIRS:
            ours = re.sub(pattern, replacement, ours)
        ours = _COUNTED.sub(lambda match: f"{match[1]}.{int(match[2]) - 1}", ours)
        if ours in native:
            raise ValueError(f"two tensors are called {ours} here")
        array = tensor.squeeze(2) if ours == "projection.weight" else tensor
        is_counter = ours.endswith(".num_batches_tracked")
        native[ours] = array.astype(np.int64 if is_counter else np.float32, copy=False)
    return native


def sizes_of(arrays: Mapping[str, NDArray[Any]]) -> CamPlusPlusConfig:
    """The network's sizes, from its tensors, of any shape, under our names.

    Raises:
        KeyError: A tensor is missing.
        IndexError: One has fewer sides than its kind.
        ValueError: Impossible sizes.
    """
    head_channels = arrays["head.conv_in.weight"].shape[0]
    num_stages = _count(arrays, r"head\.stages\.(\d+)\.")
    num_blocks = _count(arrays, r"blocks\.(\d+)\.")
    first = "blocks.0.layers.0"
    channels, num_in, input_kernel_size = arrays["input_layer.weight"].shape
    growth, bottleneck_channels, kernel_size = arrays[f"{first}.local.weight"].shape
    return CamPlusPlusConfig(
        num_bands=num_in // head_channels * 2 ** (num_stages + 1),
        head_channels=head_channels,
        head_layers=tuple(
            _count(arrays, rf"head\.stages\.{stage}\.(\d+)\.") for stage in range(num_stages)
        ),
        channels=channels,
        input_kernel_size=input_kernel_size,
        block_layers=tuple(
            _count(arrays, rf"blocks\.{block}\.layers\.(\d+)\.") for block in range(num_blocks)
        ),
        growth=growth,
        kernel_size=kernel_size,
        bottleneck_channels=bottleneck_channels,
        mask_channels=arrays[f"{first}.mask_hidden.weight"].shape[0],
        transition_channels=tuple(
            arrays[f"blocks.{block}.transition.weight"].shape[0] for block in range(num_blocks)
        ),
        embedding_dim=arrays["projection.weight"].shape[0],
    )


def _count(arrays: Mapping[str, NDArray[Any]], pattern: str) -> int:
    """How many different numbers stand where the pattern has its group."""
    return len({match[1] for each in arrays if (match := re.match(pattern, each))})
