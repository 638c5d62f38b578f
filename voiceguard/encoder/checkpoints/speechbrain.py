"""SpeechBrain's ECAPA-TDNN checkpoints, the layout of ``spkrec-ecapa-voxceleb``.

In: a directory with ``embedding_model.ckpt`` and ``hyperparams.yaml`` (or one of the two files).
Out: our network's sizes and tensors, and SpeechBrain's features. The YAML is read as plain data:
its tags name classes, and none of them is made.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from voiceguard.encoder.checkpoints import native, reading
from voiceguard.encoder.checkpoints.card import ModelCard
from voiceguard.encoder.checkpoints.imported import Imported
from voiceguard.encoder.frontends.speechbrain import SpeechBrainFbankConfig
from voiceguard.encoder.networks.ecapa_tdnn import EcapaTdnnConfig
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

# What an entry of the YAML is where it is not named, by SpeechBrain's own signatures.
_NETWORK: dict[str, Any] = {
    "input_size": None,
    "lin_neurons": 192,
    "channels": [512, 512, 512, 512, 1536],
    "kernel_sizes": [5, 3, 3, 3, 1],
    "dilations": [1, 2, 3, 4, 1],
    "attention_channels": 128,
    "res2net_scale": 8,
    "se_channels": 128,
    "global_context": True,
    "groups": [1, 1, 1, 1, 1],
}
_FBANK: dict[str, Any] = {
    "n_mels": 40,
    "n_fft": 400,
    "win_length": 25,
    "hop_length": 10,
    "sample_rate": SAMPLE_RATE_HZ,
    "f_min": 0,
    "f_max": None,
    "deltas": False,
    "context": False,
    "filter_shape": "triangular",
}
_NORMALISATION: dict[str, Any] = {"norm_type": "global", "mean_norm": True, "std_norm": True}
_WITHOUT_EFFECT = frozenset(
    {
        *("device", "dropout", "requires_grad", "left_frames", "right_frames"),
        *("param_change_factor", "param_rand_factor", "avg_factor", "update_until_epoch"),
    }
)
"""In evaluation, and where what they belong to is off."""

_MAX_SIZE = 2**15
_MAX_LAYERS = 16
_MAX_SCALE = 64
"""Every group is a layer of its own: a description may not ask for a million."""

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


def read(path: Path, *, name: str) -> Imported:
    """Reads both files, see ``imported.Reader.read``."""
    directory = path if path.is_dir() else path.parent
    table = reading.read_yaml(directory / SIZES)
    where = str(directory / SIZES)
    try:
        architecture = _architecture(table, where)
        features = _features(table, where, architecture.num_mels)
        card = ModelCard(
            name=name,
            architecture=architecture,
            features=features,
            min_window_s=max(MIN_WINDOW_S, architecture.min_frames * FRAME_S),
            licence="not stated in the checkpoint",
            trained_on="not stated in the checkpoint",
            source=str(directory),
            origin_format=NAME,
        )
    except (ValueError, TypeError) as error:
        raise EncoderError(f"{where}: {error}") from error
    state = to_native(reading.read_tensors(directory / TENSORS))
    native.build(
        card,
        state,
        found_in=str(directory / TENSORS),
        hint=f"{SIZES} and {TENSORS} must be of the same model.",
    )
    channels = ", ".join(map(str, architecture.channels))
    return Imported(
        card=card,
        state=state,
        found=(
            f"SpeechBrain ECAPA-TDNN, channels {channels}, {architecture.embedding_dim} dimensions",
            f"{features.num_mels} bands, {features.min_hz:g} to {features.max_hz:g} Hz, decibels",
        ),
    )


def _architecture(table: Mapping[str, Any], where: str) -> EcapaTdnnConfig:
    sizes = _entry(table, "embedding_model", "ECAPA_TDNN", _NETWORK, where)
    if set(sizes["groups"]) != {1}:
        raise ValueError(f"convolutions in groups ({sizes['groups']}) are not supported")
    if (scale := _whole(sizes, "res2net_scale")) > _MAX_SCALE:
        raise ValueError(f"res2net_scale must be at most {_MAX_SCALE}, not {scale}")
    return EcapaTdnnConfig(
        num_mels=_whole(sizes, "input_size"),
        channels=_wholes(sizes, "channels"),
        kernel_sizes=_wholes(sizes, "kernel_sizes"),
        dilations=_wholes(sizes, "dilations"),
        res2net_scale=scale,
        se_channels=_whole(sizes, "se_channels"),
        attention_channels=_whole(sizes, "attention_channels"),
        global_context=bool(sizes["global_context"]),
        embedding_dim=_whole(sizes, "lin_neurons"),
    )


def _features(table: Mapping[str, Any], where: str, num_mels: int) -> SpeechBrainFbankConfig:
    fbank = _entry(table, "compute_features", "Fbank", _FBANK, where)
    fixed = ("hop_length", "sample_rate", "deltas", "context", "filter_shape")
    for name in fixed:
        wanted = FRAME_SAMPLES * 1000 // SAMPLE_RATE_HZ if name == "hop_length" else _FBANK[name]
        if fbank[name] != wanted:
            raise ValueError(f"compute_features.{name} is {fbank[name]!r}; only {wanted!r} is read")
    norm = _entry(table, "mean_var_norm", "InputNormalization", _NORMALISATION, where)
    if norm != {"norm_type": "sentence", "mean_norm": True, "std_norm": False}:
        raise ValueError(
            f"mean_var_norm is {norm}; only the sentence's mean (norm_type: sentence, std_norm: "
            "False) is read"
        )
    if _whole(fbank, "n_mels") != num_mels:
        raise ValueError(f"{fbank['n_mels']} bands for a network of {num_mels}")
    max_hz = SAMPLE_RATE_HZ / 2 if fbank["f_max"] is None else fbank["f_max"]
    return SpeechBrainFbankConfig(
        num_mels=num_mels,
        fft_samples=_whole(fbank, "n_fft"),
        window_samples=round(float(fbank["win_length"]) * SAMPLE_RATE_HZ / 1000),
        min_hz=float(fbank["f_min"]),
        max_hz=float(max_hz),
    )


def _entry(
    table: Mapping[str, Any], name: str, kind: str, defaults: Mapping[str, Any], where: str
) -> dict[str, Any]:
    """An object's arguments, after seeing that it is of the expected class.

    Raises:
        EncoderError: It is missing, or of another class.
        ValueError: It has arguments that would change something that is not read.
    """
    given = table.get(name)
    tag = given.get(reading.TAG, "") if isinstance(given, dict) else ""
    if not isinstance(given, dict) or str(tag).rpartition(".")[2] != kind:
        raise EncoderError(
            f"{where}: {name} is {tag or given!r}, expected SpeechBrain's {kind}",
            hint="Only ECAPA-TDNN models of spkrec-ecapa-voxceleb's layout are read.",
        )
    arguments = {key: value for key, value in given.items() if key != reading.TAG}
    if unknown := set(arguments) - set(defaults) - _WITHOUT_EFFECT:
        raise ValueError(f"{name} has {', '.join(sorted(unknown))}, which is not supported")
    return {key: arguments.get(key, default) for key, default in defaults.items()}


def _whole(values: Mapping[str, Any], name: str) -> int:
    if not isinstance(value := values[name], int) or isinstance(value, bool) or value > _MAX_SIZE:
        raise ValueError(f"{name} must be a whole number up to {_MAX_SIZE}, not {value!r}")
    return value


def _wholes(values: Mapping[str, Any], name: str) -> tuple[int, ...]:
    if not isinstance(given := values[name], list) or len(given) > _MAX_LAYERS:
        raise ValueError(f"{name} must be a list of at most {_MAX_LAYERS}, not {given!r}")
    return tuple(_whole({name: value}, name) for value in given)


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
