"""Checkpoints of the unofficial ECAPA-TDNN implementations: ``.model`` or ``.pt``, tensors only.

In: a file of ``torch.save`` with ``speaker_encoder.*`` (the classifier's ``speaker_loss.*`` is left
out). Out: sizes read from the tensors' shapes, the tensors, and the features that the recipe fixes,
compared with the filters that the file holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from voiceguard.encoder.card import native
from voiceguard.encoder.foreign.imported import Imported
from voiceguard.encoder.foreign.safe import reading
from voiceguard.encoder.foreign.safe.tensor_records import index_of
from voiceguard.encoder.frontends.taoruijie import TaoRuijieMel, TaoRuijieMelConfig
from voiceguard.encoder.networks.taoruijie import TaoRuijieConfig
from voiceguard.errors import EncoderError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

NAME = "ECAPA-TDNN, unofficial (TaoRuijie layout)"

MIN_WINDOW_S = 0.5
"""Ours: the recipes state none."""

_MARKS = (b"layer4.weight", b"attention.4.weight", b"fc6.weight")
_LAYOUT = "Only the layout of TaoRuijie/ECAPA-TDNN is read."
_MARK = "attention.4.weight"
_FILTER_TOLERANCE = 1e-3
"""Of peak 1: filters of one definition, computed in another precision, differ by 1e-5."""


def recognises(path: Path) -> bool:
    """Whether the names of its tensors are there; nothing is unpickled."""
    index = index_of(path)
    return all(mark in index for mark in _MARKS)


def read(path: Path) -> Imported:
    """Reads the file, see ``imported.Reader.read``."""
    tensors = _own(reading.read_tensors(path), path)
    front_end = {key: value for key, value in tensors.items() if key.startswith("torchfbank.")}
    state = {key: value for key, value in tensors.items() if key not in front_end}
    try:
        architecture = _architecture(state)
        features = _features(front_end, architecture.num_mels)
    except KeyError as error:
        raise EncoderError(
            f"{path} has no tensor {error}: it is of another network", hint=_LAYOUT
        ) from error
    except (ValueError, TypeError, IndexError) as error:
        raise EncoderError(f"{path}: {error}", hint=_LAYOUT) from error
    network = native.build(
        architecture,
        state,
        found_in=str(path),
        hint=_LAYOUT,
    )
    return Imported(
        architecture=architecture,
        features=features,
        min_window_s=MIN_WINDOW_S,
        origin_format=NAME,
        network=network,
        found=(
            f"{NAME}, channels {architecture.channels}, {architecture.embedding_dim} dimensions",
            f"{features.num_mels} log-mel bands, {features.min_hz:g} to {features.max_hz:g} Hz",
            f"pre-emphasis {features.preemphasis:g}",
        ),
    )


def _own(tensors: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The encoder's tensors without the prefix that says whose they are."""
    prefixes = {key.removesuffix(_MARK) for key in tensors if key.endswith(_MARK)}
    if len(prefixes) != 1:
        raise EncoderError(
            f"{path} holds {len(prefixes)} encoders of the TaoRuijie layout (tensors "
            f"speaker_encoder.{_MARK}), expected one",
            hint=_LAYOUT,
        )
    prefix = prefixes.pop()
    return {
        key.removeprefix(prefix): tensor
        for key, tensor in tensors.items()
        if key.startswith(prefix) and not key.startswith("speaker_loss.")
    }


def _architecture(state: Mapping[str, Tensor]) -> TaoRuijieConfig:
    channels, num_mels = state["conv1.weight"].shape[:2]
    return TaoRuijieConfig(
        num_mels=num_mels,
        channels=channels,
        aggregated_channels=state["layer4.weight"].shape[0],
        res2net_scale=1
        + sum(key.startswith("layer1.convs.") and key.endswith(".weight") for key in state),
        se_channels=state["layer1.se.se.1.weight"].shape[0],
        attention_channels=state["attention.0.weight"].shape[0],
        embedding_dim=state["fc6.weight"].shape[0],
    )


def _features(found: Mapping[str, Tensor], num_mels: int) -> TaoRuijieMelConfig:
    """The recipe's features, after comparing them with what the file holds of its own.

    Raises:
        ValueError: The file's front end is another one.
    """
    own: dict[str, Any] = {}
    if (filters := found.get("torchfbank.0.flipped_filter")) is not None:
        if filters.numel() != 2 or float(filters.flatten()[1]) != 1.0:  # two taps
            raise ValueError("its pre-emphasis is not a filter of two taps")
        own["preemphasis"] = round(-float(filters.flatten()[0]), 6)
    window = found.get("torchfbank.1.spectrogram.window")
    if window is not None:
        own["window_samples"] = window.numel()
    bands = found.get("torchfbank.1.mel_scale.fb")
    if bands is not None:
        own["fft_samples"] = 2 * (bands.shape[0] - 1)
    config = TaoRuijieMelConfig(num_mels=num_mels, **own)
    ours = TaoRuijieMel(config)
    missing = config.fft_samples - config.window_samples
    whole = ours.window[missing // 2 : missing // 2 + config.window_samples]
    for what, theirs, expected in (("window", window, whole), ("filters", bands, ours.mel_bands)):
        if theirs is not None and not _alike(theirs, expected):
            raise ValueError(
                f"the {what} of its front end are not those of the recipe (Hamming, "
                f"{config.num_mels} bands of {config.min_hz:g} to {config.max_hz:g} Hz)"
            )
    return config


def _alike(theirs: Tensor, expected: Tensor) -> bool:
    if theirs.shape != expected.shape:
        return False
    return torch.allclose(theirs.float(), expected, rtol=0.0, atol=_FILTER_TOLERANCE)
