"""Small ``.nemo`` archives: configurations as NeMo writes them, random weights, any members."""

from __future__ import annotations

import copy
import io
import tarfile
from typing import TYPE_CHECKING, Any

import torch
import yaml

from voiceguard.encoder.foreign.nemo.config import read_config
from voiceguard.encoder.foreign.nemo.tensors import theirs_by_ours
from voiceguard.encoder.frontends.nemo import frame_window, slaney_bands

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

_MODULES = "nemo.collections.asr.modules"
_BLOCK: dict[str, Any] = {
    "filters": 16,
    "repeat": 1,
    "kernel": [3],
    "stride": [1],
    "dilation": [1],
    "dropout": 0.1,
    "residual": False,
    "separable": True,
    "se": True,
    "se_context_size": -1,
}
_COMMON: dict[str, Any] = {
    "sample_rate": 16000,
    "train_ds": {"manifest_filepath": None, "labels": ["a", "b"], "augmentor": {"noise": {}}},
    "preprocessor": {
        "_target_": f"{_MODULES}.AudioToMelSpectrogramPreprocessor",
        "normalize": "per_feature",
        "window_size": 0.025,
        "sample_rate": 16000,
        "window_stride": 0.01,
        "window": "hann",
        "features": 12,
        "n_fft": 512,
        "frame_splicing": 1,
        "dither": 1.0e-05,
    },
    "spec_augment": {"_target_": f"{_MODULES}.SpectrogramAugmentation", "freq_masks": 3},
    "decoder": {
        "_target_": f"{_MODULES}.SpeakerDecoder",
        "feat_in": 24,
        "num_classes": 5,
        "pool_mode": "attention",
        "emb_sizes": 8,
        "angular": True,
    },
    "loss": {"_target_": "nemo.collections.asr.losses.angularloss.AngularSoftmaxLoss"},
}


def conv_config() -> dict[str, Any]:
    """TitaNet's structure, tiny."""
    blocks = [
        _BLOCK,
        {**_BLOCK, "repeat": 2, "kernel": [7], "residual": True},
        {**_BLOCK, "filters": 24, "kernel": [1]},
    ]
    encoder = {
        "_target_": f"{_MODULES}.ConvASREncoder",
        "feat_in": 12,
        "activation": "relu",
        "conv_mask": True,
        "jasper": blocks,
    }
    return copy.deepcopy({**_COMMON, "encoder": encoder})


def ecapa_config() -> dict[str, Any]:
    """NeMo's ECAPA-TDNN, tiny."""
    encoder = {
        "_target_": f"{_MODULES}.ECAPAEncoder",
        "feat_in": 12,
        "filters": [12, 12, 12, 24],
        "kernel_sizes": [5, 3, 3, 1],
        "dilations": [1, 1, 2, 1],
        "scale": 4,
    }
    return copy.deepcopy({**_COMMON, "encoder": encoder})


def changed(config: dict[str, Any], *path: str | int, value: object) -> dict[str, Any]:
    """A copy with one value replaced or added."""
    config = copy.deepcopy(config)
    place: Any = config
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return config


def random_tensors(config: Mapping[str, Any], seed: int = 0) -> dict[str, Tensor]:
    """Weights by NeMo's names, normalisation included, and what else a checkpoint holds."""
    architecture, features = read_config(config)
    generator = torch.Generator().manual_seed(seed)
    tensors = {
        "preprocessor.featurizer.window": frame_window(features),
        "preprocessor.featurizer.fb": slaney_bands(features)[None],
    }
    for ours, tensor in architecture.build().state_dict().items():
        name = theirs_by_ours(ours, architecture)
        if ours.endswith("num_batches_tracked"):
            tensors[name] = torch.tensor(7)
            continue
        values = torch.rand(tensor.shape, generator=generator)
        scale = max(tensor[0].numel(), 4) ** -0.5 if tensor.ndim > 1 else 1.0
        tensors[name] = values + 0.3 if "running_var" in ours else (values - 0.5) * 2 * scale
    tensors["decoder.final.weight"] = torch.zeros(5, 8)
    return tensors


def saved(values: object) -> bytes:
    """What ``torch.save`` makes of it."""
    buffer = io.BytesIO()
    torch.save(values, buffer)
    return buffer.getvalue()


class _Unshared(yaml.SafeDumper):
    """Without aliases, as NeMo writes its configurations."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - whatever it is
        return True


def members(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> dict[str, bytes]:
    """The members of an archive as NeMo names them."""
    return {
        "./model_config.yaml": yaml.dump(dict(config), Dumper=_Unshared).encode(),
        "./model_weights.ckpt": saved(dict(tensors)),
    }


def write_archive(path: Path, content: Mapping[str, bytes], *, is_gzip: bool = False) -> Path:
    """A ``.nemo`` of these members, the root directory first, as NeMo does."""
    with tarfile.open(path, "w:gz" if is_gzip else "w") as archive:
        root = tarfile.TarInfo(".")
        root.type = tarfile.DIRTYPE
        archive.addfile(root)
        for name, data in content.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path
