"""``.nemo`` archives: numbers as NeMo's own, and everything else refused by name."""

from __future__ import annotations

import wave
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from tests.encoder.conftest import synthetic_voice
from tests.encoder.nemo_files import (
    changed,
    conv_config,
    ecapa_config,
    members,
    random_tensors,
    write_archive,
)
from tests.services import SHARED
from voiceguard.encoder.card.kinds import Buildable
from voiceguard.encoder.card.model_card import ModelCard
from voiceguard.encoder.foreign.nemo import archive as nemo
from voiceguard.encoder.frontends.nemo import NemoMelConfig
from voiceguard.encoder.installing import card_of, install
from voiceguard.encoder.loading import load_encoder
from voiceguard.encoder.networks.nemo_conv import NemoConvConfig
from voiceguard.encoder.running.torch_encoder import TorchEncoder
from voiceguard.errors import EncoderError
from voiceguard.types import Window

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor

    from voiceguard.encoder.foreign.imported import Imported

Config = dict[str, Any]
PARITY = SHARED / "parity"
RECORDINGS = ("awb-1", "slt-2")

needs_parity = pytest.mark.skipif(
    not (PARITY / "nemo-titanet").is_dir(),
    reason=f"{PARITY} is not here (it is beside developers' and CI's checkouts only)",
)


def recording(name: str) -> Tensor:
    with wave.open(str(PARITY / f"{name}.wav")) as file:
        pcm = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    return torch.from_numpy(pcm.astype(np.float32) / np.float32(32768))


def embed(imported: Imported, samples: Tensor) -> np.ndarray:
    """Before L2 normalisation."""
    architecture = imported.architecture
    assert isinstance(architecture, Buildable)
    assert imported.network is not None
    network = architecture.build().eval()
    network.load_state_dict(dict(imported.network.state_dict()))
    with torch.inference_mode():
        found: np.ndarray = network(imported.features.build()(samples)[None])[0].numpy()
    return found


@needs_parity
@pytest.mark.parametrize("model", ["titanet", "speakernet", "ecapa_tdnn"])
def test_embeddings_are_those_of_nemo_itself(model: str) -> None:
    """By nemo-toolkit 3.0.0, ../shared/parity/README.md; differences too, which are small there."""
    imported = nemo.read(PARITY / f"nemo-{model}" / f"{model}.nemo")
    expected = np.load(PARITY / f"nemo-{model}" / "expected.npz")
    found = {name: embed(imported, recording(name)) for name in RECORDINGS}
    largest = max(float(np.abs(expected[name]).max()) for name in RECORDINGS)
    for name in RECORDINGS:
        assert np.abs(found[name] - expected[name]).max() <= 1e-6 * largest
    one, other = RECORDINGS
    difference = (found[one] - found[other]) - (expected[one] - expected[other])
    assert np.abs(difference).max() <= 1e-6 * largest
    # Of the difference itself no more is left than float32 holds of numbers that are alike.
    assert np.abs(difference).max() <= 1e-3 * np.abs(expected[one] - expected[other]).max()


def archive(tmp_path: Path, config: Config, tensors: dict[str, Tensor] | None = None) -> Path:
    tensors = random_tensors(config) if tensors is None else tensors
    return write_archive(tmp_path / "model.nemo", members(config, tensors))


@pytest.mark.parametrize("is_gzip", [False, True])
@pytest.mark.parametrize("config", [conv_config(), ecapa_config()])
def test_an_archive_becomes_a_card_and_tensors(
    tmp_path: Path, config: Config, *, is_gzip: bool
) -> None:
    content = members(config, random_tensors(config))
    path = write_archive(tmp_path / "model.nemo", content, is_gzip=is_gzip)
    assert nemo.recognises(path)
    imported = nemo.read(path)
    card = card_of(imported, "mine")
    assert card.name == "mine"
    assert card.origin_format == "NVIDIA NeMo"
    assert card.commercial_use is None
    assert card.architecture.embedding_dim == 8
    assert isinstance(card.features, NemoMelConfig)
    assert ModelCard.from_json({**card.to_json(), "weights_sha256": ""}) == card
    assert "12 mel bands" in " ".join(imported.found)
    assert "attention pooling, 8 dimensions" in imported.found
    embedding = embed(imported, torch.randn(16_000, generator=torch.Generator().manual_seed(0)))
    assert np.isfinite(embedding).all()
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("config", [conv_config(), ecapa_config()])
def test_what_was_imported_is_installed_and_embeds_streams(tmp_path: Path, config: Config) -> None:
    imported = nemo.read(archive(tmp_path, config))
    install(imported, "mine", tmp_path / "models")
    encoder = load_encoder("mine", device="cpu", models_dir=tmp_path / "models")
    assert isinstance(encoder, TorchEncoder)
    audio = synthetic_voice(3.0)
    np.testing.assert_allclose(
        encoder.raw(audio), embed(imported, torch.from_numpy(audio)), atol=1e-5
    )
    stream = encoder.open_stream()
    for first in range(0, 24_000, 8000):
        samples = audio[first : first + 24_000]
        window = Window(
            segment=0,
            first_sample=first,
            samples=samples,
            net_speech_s=1.5,
            segment_speech_s=1.5,
            snr_db=30.0,
        )
        np.testing.assert_allclose(stream.embed(window), encoder.embed(samples), atol=1e-5)


def test_another_ending_is_recognised_by_content(tmp_path: Path) -> None:
    path = archive(tmp_path, conv_config()).rename(tmp_path / "model.bin")
    assert nemo.recognises(path)
    path.write_bytes(b"RIFF" + bytes(2000))
    assert not nemo.recognises(path)
    assert not nemo.recognises(tmp_path)


def test_half_precision_weights_are_made_single(tmp_path: Path) -> None:
    tensors = random_tensors(conv_config())
    name = "encoder.encoder.0.mconv.1.conv.weight"
    tensors[name] = tensors[name].half()
    network = nemo.read(archive(tmp_path, conv_config(), tensors)).network
    assert network is not None
    assert {each.dtype for each in network.state_dict().values()} == {torch.float32, torch.int64}


def test_what_concerns_training_is_passed_over(tmp_path: Path) -> None:
    config = conv_config()
    config["model_defaults"] = {"filters": 1024, "dropout": 0.1}
    config["optim"] = {"name": "sgd", "sched": {"name": "CosineAnnealing"}}
    config["preprocessor"] |= {"dither": 0.5, "max_duration": 20, "nb_max_freq": 4000, "rng": None}
    config["encoder"] |= {"init_mode": "kaiming_uniform", "norm_groups": -1}
    config["encoder"]["jasper"][0] |= {"dropout": 0.9, "se_context_size": 64}
    config["decoder"] |= {"num_classes": 16681, "angular": False, "init_mode": None}
    tensors = random_tensors(conv_config())
    tensors |= {"loss.weight": torch.ones(3), "spec_augmentation.x": torch.ones(1)}
    assert (
        nemo.read(archive(tmp_path, config, tensors)).architecture
        == nemo.read(archive(tmp_path, conv_config())).architecture
    )


def test_defaults_are_nemos(tmp_path: Path) -> None:
    config = conv_config()
    for name in ("normalize", "window_size", "window_stride", "window", "n_fft", "frame_splicing"):
        del config["preprocessor"][name]
    config["preprocessor"] |= {"highfreq": None, "preemph": None}
    config["decoder"] |= {"pool_mode": "Attention", "attention_channels": 32}
    config["encoder"]["jasper"][1] |= {"kernel": 7, "kernel_size_factor": 0.9}
    card = nemo.read(archive(tmp_path, config))
    assert card.features == NemoMelConfig(num_bands=12, window_samples=320, pre_emphasis=0.0)
    assert isinstance(card.architecture, NemoConvConfig)
    assert card.architecture.decoder.attention_channels == 32
    assert card.architecture.blocks[1].kernel_size == 7  # 6.3, cut to 6, made odd


def test_window_sizes_may_be_given_in_samples(tmp_path: Path) -> None:
    config = conv_config()
    preprocessor = config["preprocessor"]
    del preprocessor["window_size"], preprocessor["window_stride"]
    preprocessor |= {"n_window_size": 320, "n_window_stride": 160}
    features = nemo.read(archive(tmp_path, config)).features
    assert features == NemoMelConfig(num_bands=12, window_samples=320)


def without(name: str) -> Callable[[dict[str, Tensor]], None]:
    def change(tensors: dict[str, Tensor]) -> None:
        del tensors[name]

    return change


def put(name: str, tensor: Tensor) -> Callable[[dict[str, Tensor]], None]:
    return lambda tensors: tensors.update({name: tensor})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("decoder.emb_layers.0.1.bias"), r"have no decoder\.emb_layers\.0\.1\.bias"),
        (
            put("encoder.encoder.0.mconv.0.conv.weight", torch.ones(12, 1, 5)),
            r"mconv\.0\.conv\.weight is \(12, 1, 5\) in the weights, \(12, 1, 3\) by the",
        ),
        (put("encoder.encoder.3.mconv.0.conv.weight", torch.ones(1)), r"have encoder\.encoder\.3"),
        (put("decoder.emb_layers.0.1.bias", torch.full((8,), torch.nan)), "not numbers"),
        (put("preprocessor.featurizer.fb", torch.ones(1, 12, 257)), "fb has other values"),
        (put("preprocessor.featurizer.fb", torch.ones(1, 13, 257)), r"fb is \(1, 13, 257\)"),
        (put("preprocessor.featurizer.window", torch.ones(400)), "window has other values"),
    ],
)
def test_weights_that_are_not_the_configurations_are_told(
    tmp_path: Path, change: Callable[[dict[str, Tensor]], None], message: str
) -> None:
    tensors = random_tensors(conv_config())
    change(tensors)
    with pytest.raises(EncoderError, match=message) as caught:
        nemo.read(archive(tmp_path, conv_config(), tensors))
    assert "do not belong together" in str(caught.value)


@pytest.mark.parametrize(
    ("option", "value"), [("filters", 32), ("repeat", 3), ("se_reduction_ratio", 4)]
)
def test_other_sizes_than_the_tensors_have_are_told(
    tmp_path: Path, option: str, value: int
) -> None:
    config = changed(conv_config(), "encoder", "jasper", 1, option, value=value)
    with pytest.raises(EncoderError, match=r"do not belong together.*configuration"):
        nemo.read(archive(tmp_path, config, random_tensors(conv_config())))


@pytest.mark.parametrize("config", [conv_config(), ecapa_config()])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_ddp_and_a_folder_of_their_own_change_nothing_but_the_rounding(
    tmp_path: Path, config: Config, dtype: torch.dtype
) -> None:
    tensors = random_tensors(config)
    whole = nemo.read(write_archive(tmp_path / "whole.nemo", members(config, tensors)))
    wrapped = {
        f"module.{name}": each.to(dtype) if each.is_floating_point() else each
        for name, each in tensors.items()
    }
    packed = {
        name.replace("./", "titanet/"): content
        for name, content in members(config, wrapped).items()
    }
    (tmp_path / "folder").mkdir()
    write_archive(tmp_path / "folder" / "theirs.nemo", packed)
    assert nemo.recognises(tmp_path / "folder")
    half = nemo.read(tmp_path / "folder")
    assert half.architecture == whole.architecture
    samples = torch.from_numpy(synthetic_voice(1.0))
    expected, found = embed(whole, samples), embed(half, samples)
    assert np.abs(found - expected).max() <= 0.1 * np.abs(expected).max()
