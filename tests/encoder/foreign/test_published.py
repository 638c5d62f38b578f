"""Checkpoints with the names, options and sizes of the published ones, their weights left out.

Sizes and options are those of NeMo's examples/speaker_tasks/recognition/conf, SpeechBrain's
spkrec-ecapa-voxceleb and TaoRuijie/ECAPA-TDNN's model.py, as published; the numbers of parameters
are those that the projects' own networks have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from tests.encoder.foreign.made import speechbrain_names
from tests.encoder.nemo_files import members, write_archive
from voiceguard.encoder.card.kinds import Buildable
from voiceguard.encoder.foreign import detecting
from voiceguard.encoder.foreign.nemo.config import read_config
from voiceguard.encoder.foreign.nemo.tensors import theirs_by_ours
from voiceguard.encoder.frontends.nemo import NemoMelConfig, frame_window, slaney_bands
from voiceguard.encoder.frontends.speechbrain import SpeechBrainFbankConfig
from voiceguard.encoder.frontends.taoruijie import TaoRuijieMel, TaoRuijieMelConfig
from voiceguard.encoder.networks.ecapa_config import EcapaTdnnConfig
from voiceguard.encoder.networks.taoruijie import TaoRuijieConfig

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torch import Tensor, nn

    from voiceguard.encoder.foreign.imported import Imported

_MODULES = "nemo.collections.asr.modules"
_SE = {"se": True, "se_context_size": -1}


def built(architecture: Buildable) -> nn.Module:
    with torch.device("meta"):
        return architecture.build()


def empty(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of the same shapes, all zeros, of which a file holds one each."""
    return {
        name: torch.zeros((), dtype=tensor.dtype).expand(tensor.shape)
        for name, tensor in tensors.items()
    }


def num_parameters(imported: Imported) -> int:
    architecture = imported.architecture
    assert isinstance(architecture, Buildable)
    return sum(parameter.numel() for parameter in built(architecture).parameters())


def nemo_model(
    *, window_size: float, features: int, encoder: dict[str, Any], decoder: dict[str, Any]
) -> dict[str, Any]:
    """A whole ``model_config.yaml``, training's part too, without references, as NeMo saves it."""
    preprocessor = {
        "_target_": f"{_MODULES}.AudioToMelSpectrogramPreprocessor",
        "normalize": "per_feature",
        "window_size": window_size,
        "sample_rate": 16000,
        "window_stride": 0.01,
        "window": "hann",
        "features": features,
        "n_fft": 512,
        "frame_splicing": 1,
        "dither": 1.0e-05,
        "stft_conv": False,
    }
    augmentor = {
        "noise": {"manifest_path": None, "prob": 0.5, "min_snr_db": 0, "max_snr_db": 15},
        "speed": {"prob": 0.3, "sr": 16000, "resample_type": "kaiser_fast"},
    }
    data = {"manifest_filepath": "???", "sample_rate": 16000, "labels": None, "shuffle": True}
    sched = {"name": "CosineAnnealing", "warmup_ratio": 0.1, "min_lr": 0.0}
    return {
        "sample_rate": 16000,
        "train_ds": {**data, "is_tarred": False, "time_length": 8, "augmentor": augmentor},
        "validation_ds": data,
        "model_defaults": {"filters": 1024, "repeat": 3, "dropout": 0.1, **_SE},
        "preprocessor": preprocessor,
        "spec_augment": {
            "_target_": f"{_MODULES}.SpectrogramAugmentation",
            "freq_masks": 3,
            "time_width": 0.03,
        },
        "encoder": {"feat_in": features, **encoder},
        "decoder": {"_target_": f"{_MODULES}.SpeakerDecoder", "num_classes": 7205, **decoder},
        "loss": {
            "_target_": "nemo.collections.asr.losses.angularloss.AngularSoftmaxLoss",
            "scale": 30,
            "margin": 0.2,
        },
        "optim": {"name": "sgd", "lr": 0.006, "weight_decay": 0.0002, "sched": sched},
        "target": "nemo.collections.asr.models.label_models.EncDecSpeakerLabelModel",
        "nemo_version": "1.19.0",
    }


def conv_encoder(*blocks: tuple[int, int, int, bool], **every: object) -> dict[str, Any]:
    """Of (filters, repeat, kernel, residual)."""
    names = ("filters", "repeat", "kernel", "residual")
    common = {"stride": [1], "dilation": [1], "dropout": 0.1, "separable": True, **every}
    jasper = [{**dict(zip(names, block, strict=True)), **common} for block in blocks]
    for block in jasper:
        block["kernel"] = [block["kernel"]]
    return {
        "_target_": f"{_MODULES}.ConvASREncoder",
        "activation": "relu",
        "conv_mask": True,
        "jasper": jasper,
    }


def titanet(width: int) -> dict[str, Any]:
    middle = [(width, 3, kernel, True) for kernel in (7, 11, 15)]
    blocks = [(width, 1, 3, False), *middle, (3072, 1, 1, False)]
    return nemo_model(
        window_size=0.025,
        features=80,
        encoder=conv_encoder(*blocks, **_SE),
        decoder={"feat_in": 3072, "pool_mode": "attention", "emb_sizes": 192},
    )


def speakernet(emb_sizes: int | list[int], *, angular: bool) -> dict[str, Any]:
    middle = [(512, 2, kernel, True) for kernel in (7, 11, 15)]
    blocks = [(512, 1, 3, True), *middle, (1500, 1, 1, False)]
    decoder = {"feat_in": 1500, "pool_mode": "xvector", "emb_sizes": emb_sizes}
    return nemo_model(
        window_size=0.02,
        features=64,
        encoder=conv_encoder(*blocks),
        decoder={**decoder, "angular": angular},
    )


def nemo_ecapa() -> dict[str, Any]:
    return nemo_model(
        window_size=0.025,
        features=80,
        encoder={
            "_target_": f"{_MODULES}.ECAPAEncoder",
            "filters": [1024, 1024, 1024, 1024, 3072],
            "kernel_sizes": [5, 3, 3, 3, 1],
            "dilations": [1, 1, 1, 1, 1],
            "scale": 8,
        },
        decoder={"feat_in": 3072, "pool_mode": "attention", "emb_sizes": 192, "angular": True},
    )


def nemo_tensors(config: dict[str, Any]) -> Iterator[tuple[str, Tensor]]:
    architecture, features = read_config(config)
    for name, tensor in empty(built(architecture).state_dict()).items():
        yield theirs_by_ours(name, architecture), tensor
    yield "decoder.final.weight", torch.zeros(()).expand(7205, architecture.embedding_dim)
    yield "preprocessor.featurizer.window", frame_window(features)
    yield "preprocessor.featurizer.fb", slaney_bands(features)[None]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        pytest.param(titanet(1024), (22_122_288, 192, 80, 400), id="titanet-large"),
        pytest.param(titanet(256), (6_825_264, 192, 80, 400), id="titanet-small"),
        pytest.param(speakernet(256, angular=True), (4_009_848, 256, 64, 320), id="speakernet"),
        pytest.param(
            speakernet([512, 512], angular=False), (5_040_760, 512, 64, 320), id="recognition"
        ),
        pytest.param(nemo_ecapa(), (20_916_928, 192, 80, 400), id="ecapa_tdnn"),
    ],
)
def test_nemos_published_models_are_read(
    tmp_path: Path, config: dict[str, Any], expected: tuple[int, ...]
) -> None:
    tensors = dict(nemo_tensors(config))
    imported = detecting.read(write_archive(tmp_path / "model.nemo", members(config, tensors)))
    features = imported.features
    assert isinstance(features, NemoMelConfig)
    dim = imported.architecture.embedding_dim
    sizes = (num_parameters(imported), dim, features.num_bands, features.window_samples)
    assert sizes == expected


def test_a_description_that_lists_all_speakers_of_the_training_is_read(tmp_path: Path) -> None:
    """As TitaNet's does: 16681 of them."""
    config = speakernet(256, angular=True)
    tensors = dict(nemo_tensors(config))
    config["train_ds"]["labels"] = [f"id{number:05d}" for number in range(16_681)]
    path = write_archive(tmp_path / "model.nemo", members(config, tensors))
    assert detecting.read(path).architecture.embedding_dim == 256


SPKREC_ECAPA_VOXCELEB = """\
# Feature parameters
n_mels: 80
pretrained_path: speechbrain/spkrec-ecapa-voxceleb
out_n_neurons: 7205
compute_features: !new:speechbrain.lobes.features.Fbank
    n_mels: !ref <n_mels>
mean_var_norm: !new:speechbrain.processing.features.InputNormalization
    norm_type: sentence
    std_norm: False
embedding_model: !new:speechbrain.lobes.models.ECAPA_TDNN.ECAPA_TDNN
    input_size: !ref <n_mels>
    channels: [1024, 1024, 1024, 1024, 3072]
    kernel_sizes: [5, 3, 3, 3, 1]
    dilations: [1, 2, 3, 4, 1]
    attention_channels: 128
    lin_neurons: 192
classifier: !new:speechbrain.lobes.models.ECAPA_TDNN.Classifier
    input_size: 192
    out_neurons: !ref <out_n_neurons>
mean_var_norm_emb: !new:speechbrain.processing.features.InputNormalization
    norm_type: global
    std_norm: False
modules:
    compute_features: !ref <compute_features>
    mean_var_norm: !ref <mean_var_norm>
    embedding_model: !ref <embedding_model>
    mean_var_norm_emb: !ref <mean_var_norm_emb>
    classifier: !ref <classifier>
label_encoder: !new:speechbrain.dataio.encoder.CategoricalEncoder
pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
    loadables:
        embedding_model: !ref <embedding_model>
        label_encoder: !ref <label_encoder>
    paths:
        embedding_model: !ref <pretrained_path>/embedding_model.ckpt
        label_encoder: !ref <pretrained_path>/label_encoder.txt
"""

RECIPE = """\
seed: 1986
__set_seed: !apply:torch.manual_seed [!ref <seed>]
output_folder: !ref results/ecapa_augment/<seed>
data_folder: !PLACEHOLDER  # a path
device: 'cuda:0'
lr: 0.001
max_lr: !ref <lr>
left_frames: 0
right_frames: 0
deltas: False
opt_class: !name:torch.optim.Adam
    lr: !ref <lr>
augmentations: [
    !ref <compute_features>,
    !ref <lr>]
""" + SPKREC_ECAPA_VOXCELEB.replace(
    "Fbank\n",
    "Fbank\n    left_frames: !ref <left_frames>\n    right_frames: !ref <right_frames>\n"
    "    deltas: !ref <deltas>\n",
).replace("    attention_channels", "    groups: [1, 1, 1, 1, 1]\n    attention_channels")


@pytest.mark.parametrize("description", [SPKREC_ECAPA_VOXCELEB, RECIPE], ids=["hub", "recipe"])
def test_speechbrains_published_model_is_read(tmp_path: Path, description: str) -> None:
    config = EcapaTdnnConfig(num_mels=80, channels=(1024, 1024, 1024, 1024, 3072))
    (tmp_path / "hyperparams.yaml").write_text(description)
    state = speechbrain_names(empty(built(config).state_dict()))
    torch.save(state, tmp_path / "embedding_model.ckpt")
    imported = detecting.read(tmp_path)
    assert num_parameters(imported) == 20_767_552
    assert imported.architecture == config
    assert imported.features == SpeechBrainFbankConfig()


def test_the_unofficial_ecapas_published_model_is_read(tmp_path: Path) -> None:
    """Its own training prints 14.73 Mi parameters."""
    front_end = TaoRuijieMel(TaoRuijieMelConfig())
    prefix = "speaker_encoder."
    tensors = {
        f"{prefix}torchfbank.0.flipped_filter": torch.tensor([[[-0.97, 1.0]]]),
        f"{prefix}torchfbank.1.spectrogram.window": torch.hamming_window(400),
        f"{prefix}torchfbank.1.mel_scale.fb": front_end.mel_bands,
        "speaker_loss.weight": torch.zeros(()).expand(5994, 192),
    }
    state = empty(built(TaoRuijieConfig()).state_dict())
    tensors |= {prefix + name: tensor for name, tensor in state.items()}
    path = tmp_path / "pretrain.model"
    torch.save(tensors, path)
    imported = detecting.read(path)
    assert round(num_parameters(imported) / 2**20, 2) == 14.73
    assert imported.architecture == TaoRuijieConfig()
    assert imported.features == TaoRuijieMelConfig()
