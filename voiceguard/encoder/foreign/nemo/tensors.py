"""NeMo's names for the tensors of its speaker models, and ours."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import torch

from voiceguard.encoder.frontends.nemo import frame_window, slaney_bands
from voiceguard.encoder.networks.nemo_conv import NemoConvConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from voiceguard.encoder.frontends.nemo import NemoMelConfig
    from voiceguard.encoder.networks.nemo_ecapa import NemoEcapaConfig

    Architecture = NemoConvConfig | NemoEcapaConfig

_NUM_WITHOUT_TENSORS = 2
"""Activation and dropout are numbered between the repeated convolutions of a Jasper block."""

_THEIRS_BY_OURS_IN_ECAPA = (
    (r"^input_layer\.", "encoder.layers.0."),
    (r"^aggregation\.", "encoder.feature_agg."),
    (r"\.dense_in\.", ".group_tdnn_block.0."),
    (r"\.grouped\.conv\.", ".group_tdnn_block.1."),
    (r"\.grouped\.norm\.", ".group_tdnn_block.3."),
    (r"\.dense_out\.", ".group_tdnn_block.4."),
    (r"\.se\.squeeze\.", ".se_layer.se_layer.0."),
    (r"\.se\.norm\.", ".se_layer.se_layer.2."),
    (r"\.se\.excite\.", ".se_layer.se_layer.3."),
)

_UNUSED = re.compile(r"decoder\.final\.|(?!encoder\.|decoder\.)")
"""What told the training's speakers apart, and what belongs to the loss, the features, ..."""


def to_native(tensors: Mapping[str, Tensor], architecture: Architecture) -> dict[str, Tensor]:
    """The tensors of a NeMo model by the names of ``architecture.build().state_dict()``.

    Raises:
        ValueError: A tensor is missing, of another shape, not finite, or one too many: they are
            not those of this architecture.
    """
    with torch.device("meta"):  # shapes alone, no memory
        expected = architecture.build().state_dict()
    native = {}
    for ours, shaped in expected.items():
        theirs = theirs_by_ours(ours, architecture)
        tensor = tensors.get(theirs)
        if tensor is None:
            raise ValueError(f"the weights have no {theirs}, which the configuration asks for")
        # Where they convolve over a single frame we have a matrix.
        shapes = {tuple(shaped.shape), (*shaped.shape, 1)}
        if tuple(tensor.shape) not in shapes:
            raise ValueError(
                f"{theirs} is {tuple(tensor.shape)} in the weights, {tuple(shaped.shape)} by the "
                "configuration"
            )
        native[ours] = _plain(theirs, tensor).reshape(shaped.shape)
    known = {theirs_by_ours(ours, architecture) for ours in expected}
    if unknown := sorted(name for name in tensors if name not in known and not _UNUSED.match(name)):
        raise ValueError(f"the weights have {unknown[0]}, which the configuration doesn't ask for")
    return native


def check_features(tensors: Mapping[str, Tensor], config: NemoMelConfig) -> None:
    """Compares window and mel filters that the weights hold, if they do, with what we compute.

    Raises:
        ValueError: They are others than the configuration says.
    """
    computed = {
        "preprocessor.featurizer.window": frame_window(config),
        "preprocessor.featurizer.fb": slaney_bands(config)[None],
    }
    for name, ours in computed.items():
        theirs = tensors.get(name)
        if theirs is None:
            continue
        if theirs.shape != ours.shape:
            raise ValueError(
                f"{name} is {tuple(theirs.shape)} in the weights, {tuple(ours.shape)} by the "
                "configuration"
            )
        # Half precision rounds each value to so much of itself.
        rounding = torch.finfo(theirs.dtype).eps if theirs.is_floating_point() else 0.0
        atol = max(1e-5, rounding) * float(ours.max())
        if not torch.allclose(theirs.float(), ours, rtol=0, atol=atol):
            raise ValueError(f"{name} has other values in the weights than by the configuration")


def theirs_by_ours(name: str, architecture: Architecture) -> str:
    """What NeMo calls a tensor of ours."""
    if name.startswith("decoder."):
        return _in_decoder(name, is_attention=architecture.decoder.pooling == "attention")
    if isinstance(architecture, NemoConvConfig):
        return _in_conv(name, architecture)
    for pattern, replacement in _THEIRS_BY_OURS_IN_ECAPA:
        name = re.sub(pattern, replacement, name)
    # Layer 0 there is the input layer here; blocks are counted from 0.
    name = re.sub(r"^blocks\.(\d+)", lambda match: f"encoder.layers.{int(match[1]) + 1}", name)
    if "se_layer" in name or re.search(r"group_tdnn_block\.[13]\.", name):
        return name
    return _in_tdnn_layer(name)


def _in_decoder(name: str, *, is_attention: bool) -> str:
    name = name.replace("decoder.pooling.hidden.", "decoder._pooling.attention_layer.0.")
    name = name.replace("decoder.pooling.scores.", "decoder._pooling.attention_layer.2.")
    if "attention_layer.0." in name:
        return _in_tdnn_layer(name)
    order = ("norm", "linear") if is_attention else ("linear", "norm")
    for index, part in enumerate(order):
        name = re.sub(
            rf"^decoder\.layers\.(\d+)\.{part}\.", rf"decoder.emb_layers.\1.{index}.", name
        )
    return name


def _in_tdnn_layer(name: str) -> str:
    return name.replace(".conv.", ".conv_layer.").replace(".norm.", ".bn.")


def _in_conv(name: str, architecture: NemoConvConfig) -> str:
    """``blocks.2.layers.1.norm.bias`` and the like."""
    _, number, branch, *rest = name.split(".")
    block = architecture.blocks[int(number)]
    prefix = f"encoder.encoder.{number}"
    wrapped = ".conv" if architecture.is_masked else ""  # NeMo's convolutions that mask wrap one
    parts = ("conv", "across", "norm") if block.is_separable else ("conv", "norm")
    per_layer = len(parts) + _NUM_WITHOUT_TENSORS
    if branch == "se":
        index = (block.repeat - 1) * per_layer + len(parts)
        layer = {"squeeze": 0, "excite": 2}[rest[0]]
        return f"{prefix}.mconv.{index}.fc.{layer}.{rest[1]}"
    if branch == "shortcut":
        part, tensor = rest
        index = ("conv", "norm").index(part)
        return f"{prefix}.res.0.{index}{wrapped if part == 'conv' else ''}.{tensor}"
    layer_number, part, tensor = rest
    index = int(layer_number) * per_layer + parts.index(part)
    return f"{prefix}.mconv.{index}{wrapped if part != 'norm' else ''}.{tensor}"


def _plain(name: str, tensor: Tensor) -> Tensor:
    """In float32, or the integer that counts batches.

    Raises:
        ValueError: It has values that are not numbers.
    """
    if not tensor.is_floating_point():
        return tensor
    tensor = tensor.float()
    if not torch.isfinite(tensor).all():
        raise ValueError(f"{name} has values that are not numbers: the file is damaged")
    return tensor
