"""SpeechBrain's names for the tensors of an ECAPA-TDNN, and ours."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

_OURS_BY_SPEECHBRAIN = (
    # SpeechBrain wraps each layer in a class of its own and so says .conv.conv., .norm.norm.
    (r"\b(conv|norm)\.\1\b", r"\1"),
    (r"^blocks\.0\.", "input_layer."),
    (r"\.tdnn1\.", ".dense_in."),
    (r"\.res2net_block\.blocks\.", ".res2conv.layers."),
    (r"\.tdnn2\.", ".dense_out."),
    (r"\.se_block\.conv1\.conv\.", ".squeeze_excitation.squeeze."),
    (r"\.se_block\.conv2\.conv\.", ".squeeze_excitation.excite."),
    (r"\.shortcut\.conv\.", ".shortcut."),
    (r"^mfa\.", "aggregation."),
    (r"^asp\.tdnn\.", "pooling.hidden."),
    (r"^asp\.conv\.", "pooling.scores."),
    (r"^asp_bn\.norm\.", "pooling_norm."),
    (r"^fc\.conv\.", "projection."),
)
_LINEAR = re.compile(r"(squeeze|excite|projection)\.weight$")
"""Convolutions over a single frame there, matrices here."""


def to_native(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Renames the tensors of an ``embedding_model`` to those of ``EcapaTdnn.state_dict()``."""
    native = {}
    for theirs, tensor in tensors.items():
        ours = theirs
        for pattern, replacement in _OURS_BY_SPEECHBRAIN:
            ours = re.sub(pattern, replacement, ours)
        # The input layer is block 0 there; SE-Res2Blocks are counted from 0 here.
        ours = re.sub(r"^blocks\.(\d+)", lambda match: f"blocks.{int(match[1]) - 1}", ours)
        native[ours] = tensor.squeeze(2) if _LINEAR.search(ours) else tensor
    return native
