"""SpeechBrain's ECAPA-TDNN checkpoints, the layout of ``spkrec-ecapa-voxceleb``.

In: a directory with ``embedding_model.ckpt`` and ``hyperparams.yaml`` (or one of the two files).
Out: our network's sizes and tensors, and SpeechBrain's features. The YAML is read as plain data:
its tags name classes, and none of them is made.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from voiceguard.encoder.card import native
from voiceguard.encoder.foreign.imported import Imported
from voiceguard.encoder.foreign.safe import reading
from voiceguard.encoder.foreign.safe.options import Options
from voiceguard.encoder.frontends.speechbrain import SpeechBrainFbankConfig
from voiceguard.encoder.networks.ecapa_config import MAX_LAYERS, MAX_SIZE, EcapaTdnnConfig
from voiceguard.errors import EncoderError
from voiceguard.types import FRAME_S, FRAME_SAMPLES, SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

NAME = "SpeechBrain"

TENSORS = "embedding_model.ckpt"
SIZES = "hyperparams.yaml"

MIN_WINDOW_S = 0.5
"""Ours: the project itself states none, and pads batches."""

_LAYOUT = "Only ECAPA-TDNN models of spkrec-ecapa-voxceleb's layout are read."

_WITHOUT_EFFECT = (
    *("device", "dropout", "requires_grad", "left_frames", "right_frames"),
    *("param_change_factor", "param_rand_factor", "avg_factor", "update_until_epoch"),
)
"""In evaluation, and where what they belong to is off."""

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


def recognises(path: Path) -> bool:
    """Whether the two files are there."""
    directory = path if path.is_dir() else path.parent
    if path.is_file() and path.name not in {TENSORS, SIZES}:
        return False
    return (directory / TENSORS).is_file() and (directory / SIZES).is_file()


def read(path: Path) -> Imported:
    """Reads both files, see ``imported.Reader.read``."""
    directory = path if path.is_dir() else path.parent
    table = reading.read_yaml(directory / SIZES)
    where = str(directory / SIZES)
    try:
        architecture = _architecture(table, where)
        features = _features(table, where, architecture.num_mels)
    except (ValueError, TypeError) as error:
        raise EncoderError(f"{where}: {error}", hint=_LAYOUT) from error
    state = to_native(reading.read_tensors(directory / TENSORS))
    network = native.build(
        architecture,
        state,
        found_in=str(directory / TENSORS),
        hint=f"{SIZES} and {TENSORS} must be of the same model.",
    )
    channels = ", ".join(map(str, architecture.channels))
    return Imported(
        architecture=architecture,
        features=features,
        min_window_s=max(MIN_WINDOW_S, architecture.min_frames * FRAME_S),
        origin_format=NAME,
        network=network,
        found=(
            f"SpeechBrain ECAPA-TDNN, channels {channels}, {architecture.embedding_dim} dimensions",
            f"{features.num_mels} bands, {features.min_hz:g} to {features.max_hz:g} Hz, decibels",
        ),
    )


def _architecture(table: Mapping[str, Any], where: str) -> EcapaTdnnConfig:
    """The network; what is not named is what SpeechBrain's own signature has."""
    sizes = _entry(table, "embedding_model", "ECAPA_TDNN", where)
    if set(groups := sizes.wholes("groups", (1,), most=MAX_LAYERS)) != {1}:
        raise ValueError(f"convolutions in groups {groups} are not supported")
    architecture = EcapaTdnnConfig(
        num_mels=sizes.whole("input_size"),
        channels=sizes.wholes("channels", (512, 512, 512, 512, 1536), most=MAX_LAYERS),
        kernel_sizes=sizes.wholes("kernel_sizes", (5, 3, 3, 3, 1), most=MAX_LAYERS),
        dilations=sizes.wholes("dilations", (1, 2, 3, 4, 1), most=MAX_LAYERS),
        res2net_scale=sizes.whole("res2net_scale", 8),
        se_channels=sizes.whole("se_channels", 128),
        attention_channels=sizes.whole("attention_channels", 128),
        global_context=sizes.flag("global_context", default=True),
        embedding_dim=sizes.whole("lin_neurons", 192),
    )
    sizes.finish()
    return architecture


def _features(table: Mapping[str, Any], where: str, num_mels: int) -> SpeechBrainFbankConfig:
    """The bands, and the mean that is taken from them."""
    fbank = _entry(table, "compute_features", "Fbank", where)
    fbank.only("hop_length", FRAME_SAMPLES * 1000 // SAMPLE_RATE_HZ)
    fbank.only("sample_rate", SAMPLE_RATE_HZ)
    fbank.only("filter_shape", "triangular")
    for name in ("deltas", "context"):
        fbank.only(name, supported=False)
    norm = _entry(table, "mean_var_norm", "InputNormalization", where)
    if (kind := norm.text("norm_type", "global")) != "sentence":
        raise ValueError(f"mean_var_norm is over the {kind}; only the sentence's mean is read")
    norm.only("mean_norm", supported=True)
    if norm.flag("std_norm", default=True):
        raise ValueError("mean_var_norm divides by a deviation; only the sentence's mean is read")
    norm.finish()
    if (num_bands := fbank.whole("n_mels", 40)) != num_mels:
        raise ValueError(f"{num_bands} bands for a network of {num_mels}")
    features = SpeechBrainFbankConfig(
        num_mels=num_mels,
        fft_samples=fbank.whole("n_fft", 400),
        window_samples=round(fbank.number("win_length", 25) * SAMPLE_RATE_HZ / 1000),
        min_hz=fbank.number("f_min", 0),
        max_hz=fbank.number("f_max", SAMPLE_RATE_HZ / 2, null=SAMPLE_RATE_HZ / 2),
    )
    fbank.finish()
    return features


def _entry(table: Mapping[str, Any], name: str, kind: str, where: str) -> Options:
    """An object's arguments, after seeing that it is of the expected class.

    Raises:
        EncoderError: It is missing, or of another class.
    """
    given = table.get(name)
    tag = given.get(reading.TAG, "") if isinstance(given, dict) else ""
    if not isinstance(given, dict) or str(tag).rpartition(".")[2] != kind:
        raise EncoderError(
            f"{where}: {name} is {tag or given!r}, expected SpeechBrain's {kind}",
            hint=_LAYOUT,
        )
    options = Options(name, given, largest=MAX_SIZE, literal=True)
    options.ignore(reading.TAG, *_WITHOUT_EFFECT)
    return options


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
