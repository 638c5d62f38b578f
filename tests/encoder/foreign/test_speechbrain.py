"""SpeechBrain's checkpoints: names, sizes, features; embeddings as that project gives them."""

from __future__ import annotations

import shutil
import wave
from typing import TYPE_CHECKING

import numpy as np
import pytest
import safetensors.torch
import torch

from tests.encoder.conftest import random_network, tiny_config
from tests.encoder.foreign.made import (
    PARITY,
    assert_parity,
    encoder_of,
    make_speechbrain,
    needs_parity,
    network_of,
    speechbrain_names,
    speechbrain_yaml,
)
from tests.encoder.networks.test_ecapa_tdnn import SIZES
from tests.services import SHARED
from voiceguard.encoder.card.kinds import typed
from voiceguard.encoder.foreign import speechbrain
from voiceguard.encoder.foreign.speechbrain import to_native
from voiceguard.encoder.frontends.log_mel import LogMel
from voiceguard.encoder.frontends.log_mel_config import LogMelConfig
from voiceguard.encoder.networks.ecapa_config import EcapaTdnnConfig
from voiceguard.encoder.networks.ecapa_tdnn import EcapaTdnn
from voiceguard.errors import EncoderError

if TYPE_CHECKING:
    from pathlib import Path

WEIGHTS = SHARED / "models" / "ecapa-c256-interim.safetensors"
GOLDEN = WEIGHTS.with_suffix(".golden.npz")


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("blocks.0.conv.conv.weight", "input_layer.conv.weight"),
        ("blocks.0.norm.norm.running_var", "input_layer.norm.running_var"),
        ("blocks.1.tdnn1.conv.conv.bias", "blocks.0.dense_in.conv.bias"),
        (
            "blocks.3.res2net_block.blocks.6.norm.norm.weight",
            "blocks.2.res2conv.layers.6.norm.weight",
        ),
        ("blocks.2.tdnn2.norm.norm.bias", "blocks.1.dense_out.norm.bias"),
        ("blocks.2.se_block.conv1.conv.bias", "blocks.1.squeeze_excitation.squeeze.bias"),
        ("blocks.2.se_block.conv2.conv.bias", "blocks.1.squeeze_excitation.excite.bias"),
        ("blocks.1.shortcut.conv.bias", "blocks.0.shortcut.bias"),
        ("mfa.conv.conv.bias", "aggregation.conv.bias"),
        ("asp.tdnn.norm.norm.bias", "pooling.hidden.norm.bias"),
        ("asp.conv.conv.bias", "pooling.scores.bias"),
        ("asp_bn.norm.running_mean", "pooling_norm.running_mean"),
        ("fc.conv.bias", "projection.bias"),
    ],
)
def test_each_name_has_its_counterpart(theirs: str, ours: str) -> None:
    assert list(to_native({theirs: torch.zeros(3)})) == [ours]


def test_convolutions_over_one_frame_become_matrices() -> None:
    native = to_native(
        {"fc.conv.weight": torch.zeros(4, 6, 1), "mfa.conv.conv.weight": torch.zeros(4, 6, 1)}
    )
    assert native["projection.weight"].shape == (4, 6)
    assert native["aggregation.conv.weight"].shape == (4, 6, 1)


@pytest.mark.skipif(not WEIGHTS.is_file(), reason=f"{WEIGHTS} is not here")
@pytest.mark.parametrize("recording", ["awb-1", "slt-2"])
def test_weights_of_that_layout_embed_speech_as_they_did_where_they_were_trained(
    recording: str,
) -> None:
    network = EcapaTdnn(EcapaTdnnConfig()).eval()
    network.load_state_dict(to_native(safetensors.torch.load_file(WEIGHTS)))
    with wave.open(str(SHARED / "parity" / f"{recording}.wav")) as file:
        pcm = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    samples = torch.from_numpy(pcm.astype(np.float32) / np.float32(32768))
    expected = np.load(GOLDEN)[recording]  # (192,), before L2 normalisation

    with torch.inference_mode():
        found = network(LogMel(LogMelConfig())(samples[None]))[0].numpy()

    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


@needs_parity
def test_embeddings_are_those_of_speechbrain() -> None:
    imported = speechbrain.read(PARITY / "speechbrain")
    encoder = encoder_of(imported)
    assert encoder.info.embedding_dim == 192
    assert_parity(encoder.raw, PARITY / "speechbrain" / "expected.npz")


@pytest.mark.parametrize("config", SIZES.values(), ids=SIZES.keys())
def test_any_sizes_are_read_from_the_yaml_and_the_tensors(
    tmp_path: Path, config: EcapaTdnnConfig
) -> None:
    directory = make_speechbrain(tmp_path / "any", config)
    imported = speechbrain.read(directory)
    assert imported.architecture == config
    assert typed(imported.features)["num_mels"] == config.num_mels
    assert f"{config.embedding_dim} dimensions" in imported.found[0]
    assert imported.network is not None
    for name, tensor in random_network(config).state_dict().items():
        assert torch.equal(imported.network.state_dict()[name], tensor), name


def test_what_the_yaml_does_not_name_is_speechbrains_default(tmp_path: Path) -> None:
    config = EcapaTdnnConfig(channels=(512, 512, 512, 512, 1536), num_mels=40)
    directory = make_speechbrain(tmp_path, config)
    (directory / "hyperparams.yaml").write_text(
        speechbrain_yaml(
            config,
            embedding_model="!new:speechbrain.lobes.models.ECAPA_TDNN.ECAPA_TDNN\n"
            "    input_size: 40\n    device: cpu",
            compute_features="!new:speechbrain.lobes.features.Fbank",
        )
    )
    card = speechbrain.read(directory)
    assert card.architecture == config
    assert typed(card.features)["num_mels"] == 40


def test_the_directory_or_one_of_its_two_files_is_recognised(tmp_path: Path) -> None:
    directory = make_speechbrain(tmp_path / "it")
    for path in (directory, directory / "embedding_model.ckpt", directory / "hyperparams.yaml"):
        assert speechbrain.recognises(path)
        assert speechbrain.read(path).architecture == tiny_config()
    shutil.copy(directory / "embedding_model.ckpt", directory / "classifier.ckpt")
    assert not speechbrain.recognises(directory / "classifier.ckpt")
    (directory / "hyperparams.yaml").unlink()
    assert not speechbrain.recognises(directory)


NORMALISED = "!new:speechbrain.processing.features.InputNormalization\n    "


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("embedding_model", "!new:speechbrain.lobes.models.Xvector.Xvector {}", "Xvector"),
        ("embedding_model", "3", "embedding_model is 3, expected SpeechBrain's ECAPA_TDNN"),
        ("embedding_model", "!new:a.ECAPA_TDNN {input_size: many}", "input_size must be a whole"),
        ("embedding_model", "!new:a.ECAPA_TDNN {input_size: 12, groups: [2]}", "in groups"),
        ("embedding_model", "!new:a.ECAPA_TDNN {input_size: 12, channels: 9}", "must be a list"),
        (
            "embedding_model",
            f"!new:a.ECAPA_TDNN {{input_size: 12, channels: {[8] * 17}}}",
            "a list of 1 to 16 whole numbers",
        ),
        ("embedding_model", "!new:a.ECAPA_TDNN {input_size: 12, activation: 1}", "activation"),
        ("embedding_model", "!new:a.ECAPA_TDNN {input_size: 999999}", "from 1 to 32768"),
        ("embedding_model", "!new:a.ECAPA_TDNN {input_size: 12, res2net_scale: 512}", "at most 64"),
        ("embedding_model", "!new:a.ECAPA_TDNN {input_size: 12, lin_neurons: null}", "not None"),
        ("embedding_model", "!new:a.ECAPA_TDNN {input_size: 12}", "does not hold the arch"),
        ("compute_features", "!new:a.MFCC {n_mels: 12}", "expected SpeechBrain's Fbank"),
        ("compute_features", "!new:a.Fbank {n_mels: 13}", "13 bands for a network of 12"),
        ("compute_features", "!new:a.Fbank {n_mels: 12, deltas: true}", "deltas is True"),
        ("compute_features", "!new:a.Fbank {n_mels: 12, hop_length: 5}", "hop_length is 5"),
        ("compute_features", "!new:a.Fbank {n_mels: 12, n_fft: 9000}", "not supported"),
        (
            "compute_features",
            "!new:a.Fbank {n_mels: 12, f_max: 9000}",
            "bands must lie between 0 and 8000 Hz",
        ),
        ("mean_var_norm", NORMALISED + "norm_type: global", "only the sentence's mean"),
        ("mean_var_norm", NORMALISED + "norm_type: sentence", "only the sentence's mean"),
        (
            "mean_var_norm",
            NORMALISED + "norm_type: sentence\n    std_norm: False\n    mean_norm: False",
            "mean_norm is False",
        ),
    ],
)
def test_what_would_give_other_embeddings_is_refused(
    tmp_path: Path, key: str, value: str, message: str
) -> None:
    directory = make_speechbrain(tmp_path)
    (directory / "hyperparams.yaml").write_text(speechbrain_yaml(tiny_config(), **{key: value}))
    with pytest.raises(EncoderError, match=message) as caught:
        speechbrain.read(directory)
    assert str(directory) in str(caught.value)


def test_a_truncated_file_of_tensors_is_told_by_its_path(tmp_path: Path) -> None:
    path = make_speechbrain(tmp_path) / "embedding_model.ckpt"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(EncoderError, match="truncated or damaged") as caught:
        speechbrain.read(tmp_path)
    assert str(path) in str(caught.value)


def test_whole_numbers_for_weights_are_refused(tmp_path: Path) -> None:
    directory = make_speechbrain(tmp_path)
    state = speechbrain_names(random_network(tiny_config()).state_dict())
    torch.save(
        {name: tensor.to(torch.int32) for name, tensor in state.items()},
        directory / "embedding_model.ckpt",
    )
    with pytest.raises(EncoderError, match=r"holds whole numbers where .* has weights"):
        speechbrain.read(directory)


def test_tensors_of_other_sizes_are_refused_by_name(tmp_path: Path) -> None:
    directory = make_speechbrain(tmp_path)
    state = speechbrain_names(random_network(tiny_config(embedding_dim=9)).state_dict())
    torch.save(state, directory / "embedding_model.ckpt")
    with pytest.raises(EncoderError, match=r"projection.bias is \(9,\) there, \(8,\) by") as caught:
        speechbrain.read(directory)
    assert "same model" in caught.value.hint


def test_weights_that_were_saved_inside_a_distributed_wrapper_are_the_same(tmp_path: Path) -> None:
    plain = speechbrain.read(make_speechbrain(tmp_path / "theirs"))
    checkpoint = tmp_path / "theirs" / "embedding_model.ckpt"
    state = torch.load(checkpoint, weights_only=True)
    torch.save({f"module.{name}": tensor for name, tensor in state.items()}, checkpoint)
    wrapped = speechbrain.read(tmp_path / "theirs")
    expected, found = network_of(plain).state_dict(), network_of(wrapped).state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
