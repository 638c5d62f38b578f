"""The native format: what is written is read, and nothing else is."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import safetensors.torch
import torch

from tests.encoder.conftest import random_network, tiny_config
from voiceguard.encoder import library
from voiceguard.encoder.card import native
from voiceguard.encoder.card.kinds import typed
from voiceguard.encoder.card.model_card import Figure, ModelCard
from voiceguard.encoder.frontends.log_mel_config import LogMelConfig
from voiceguard.encoder.loading import load_encoder
from voiceguard.encoder.networks.ecapa_tdnn import EcapaTdnn
from voiceguard.errors import EncoderError

if TYPE_CHECKING:
    from pathlib import Path

    from voiceguard.encoder.networks.ecapa_config import EcapaTdnnConfig


def make_card(config: EcapaTdnnConfig) -> ModelCard:
    """A card that fits a tiny network."""
    return ModelCard(
        name="tiny",
        architecture=config,
        features=LogMelConfig(num_mels=config.num_mels, max_hz=4000.0, fft_samples=1024),
        min_window_s=0.3,
        licence="Apache-2.0",
        trained_on="Nothing, weights are random.",
        figures=(Figure(what="EER", value="50 %", command="voiceguard evaluate DIR"),),
    )


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A whole saved model, by the path of its weights."""
    path = tmp_path / "tiny.safetensors"
    native.save(path, make_card(tiny_config()), random_network(tiny_config()))
    return path


def rewrite_card(model: Path, **changes: Any) -> None:  # noqa: ANN401 - any JSON value
    """Changes entries of a model's card."""
    card = native.card_path(model)
    card.write_text(json.dumps({**json.loads(card.read_text()), **changes}))


def test_a_saved_model_is_loaded_as_it_was(model: Path) -> None:
    card, network = native.load(model)
    original = random_network(tiny_config())
    assert not network.training
    for name, tensor in original.state_dict().items():
        assert torch.equal(network.state_dict()[name], tensor), name
    assert card == replace(
        make_card(tiny_config()),
        num_parameters=original.num_parameters,
        weights_sha256=hashlib.sha256(model.read_bytes()).hexdigest(),
    )


def test_an_encoder_is_loaded_by_its_path(model: Path) -> None:
    """Any size works everywhere: nothing is tied to the shipped one."""
    encoder = load_encoder(str(model), device="cpu")
    assert encoder.info.embedding_dim == 8
    assert encoder.info.name == "tiny"
    rng = np.random.default_rng(0)
    assert encoder.embed(rng.normal(0, 0.1, 16000).astype(np.float32)).shape == (8,)


def test_loading_leaves_the_random_generator_alone(model: Path) -> None:
    """Training is seeded; loading a teacher must not shift it."""
    before = torch.get_rng_state()
    native.load(model)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_same_weights_give_the_same_file_and_other_weights_another_id(
    model: Path, tmp_path: Path
) -> None:
    again = tmp_path / "again.safetensors"
    native.save(again, make_card(tiny_config()), random_network(tiny_config()))
    assert again.read_bytes() == model.read_bytes()
    native.save(again, make_card(tiny_config()), random_network(tiny_config(), seed=1))
    assert native.load(again)[0].encoder_id != native.load(model)[0].encoder_id


@pytest.fixture
def halved(tmp_path: Path) -> Path:
    """The same model in half precision."""
    path = tmp_path / "half.safetensors"
    native.save(path, make_card(tiny_config()), random_network(tiny_config()), half=True)
    return path


def test_half_precision_halves_the_file_and_hardly_moves_an_embedding(tmp_path: Path) -> None:
    """A larger network than the tiny one, whose header would be most of the file."""
    config = tiny_config(channels=(128, 128, 128, 128, 256), embedding_dim=32)
    whole, half = tmp_path / "whole.safetensors", tmp_path / "half.safetensors"
    native.save(whole, make_card(config), random_network(config))
    written = native.save(half, make_card(config), random_network(config), half=True)
    assert 0.5 < half.stat().st_size / whole.stat().st_size < 0.56
    assert native.load(half)[0] == written
    samples = np.random.default_rng(3).normal(0, 0.1, 48_000).astype(np.float32)
    first, second = (load_encoder(str(path), device="cpu") for path in (whole, half))
    assert first.info.encoder_id != second.info.encoder_id
    assert first.embed(samples) @ second.embed(samples) > 0.9999


def test_half_precision_weights_run_in_single(halved: Path) -> None:
    """Running statistics never lose a bit: a variance may be beyond what float16 can hold."""
    original = random_network(tiny_config())
    for name, tensor in native.load(halved)[1].state_dict().items():
        expected = original.state_dict()[name]
        assert tensor.dtype == expected.dtype, name
        if "running_" in name:
            assert torch.equal(tensor, expected), name
        else:
            torch.testing.assert_close(tensor, expected, rtol=1e-3, atol=1e-3)


def test_a_weight_that_half_precision_cannot_hold_is_refused(tmp_path: Path) -> None:
    network = random_network(tiny_config())
    with torch.no_grad():
        network.projection.bias[0] = 70_000.0
    path = tmp_path / "half.safetensors"
    with pytest.raises(ValueError, match=r"projection\.bias has weights outside float16"):
        native.save(path, make_card(tiny_config()), network, half=True)
    assert not path.exists()


def test_one_flipped_bit_is_noticed(model: Path) -> None:
    """Anywhere: in the header, in the first tensor, in the last byte."""
    whole = model.read_bytes()
    for position in (9, len(whole) // 2, len(whole) - 1):
        damaged = bytearray(whole)
        damaged[position] ^= 1
        model.write_bytes(damaged)
        with pytest.raises(EncoderError) as caught:
            native.load(model)
        assert str(model) in str(caught.value)
        assert native.read_card(native.card_path(model)).weights_sha256 in str(caught.value)
        assert "Reinstall" in caught.value.hint


@pytest.mark.parametrize("num_bytes", [0, 4, 1000])
def test_a_truncated_file_is_noticed(model: Path, num_bytes: int) -> None:
    model.write_bytes(model.read_bytes()[:num_bytes])
    with pytest.raises(EncoderError, match=r"damaged or was replaced: its sha256 is [0-9a-f]{64}"):
        native.load(model)


@pytest.mark.parametrize("suffix", [".safetensors", ".json"])
def test_a_missing_file_is_named(model: Path, suffix: str) -> None:
    missing = model.with_suffix(suffix)
    missing.unlink()
    with pytest.raises(EncoderError, match="cannot be read: No such file") as caught:
        native.load(model)
    assert str(missing) in str(caught.value)
    assert caught.value.hint


def rehash(model: Path) -> None:
    """Makes the card vouch for whatever the weights file holds now."""
    rewrite_card(model, weights_sha256=hashlib.sha256(model.read_bytes()).hexdigest())


def test_something_else_under_the_right_hash_is_refused(model: Path) -> None:
    for content in (b"", b"\x80\x04pickle?", (2**62).to_bytes(8, "little") + b"{}"):
        model.write_bytes(content)
        rehash(model)
        with pytest.raises(EncoderError, match="not a safetensors file of weights"):
            native.load(model)


def test_a_card_of_another_architecture_is_refused(model: Path) -> None:
    """Dilations leave no trace in the tensors' shapes, so the weights file names them too."""
    other = tiny_config(dilations=(1, 3, 3, 3, 1))
    rewrite_card(model, architecture=typed(other))
    with pytest.raises(EncoderError, match="disagree about the architecture"):
        native.load(model)


def test_a_card_of_other_features_is_refused(model: Path) -> None:
    other = LogMelConfig(num_mels=12, min_hz=50.0)
    rewrite_card(model, features=typed(other))
    with pytest.raises(EncoderError, match="disagree about"):
        native.load(model)


def test_tensors_of_other_sizes_are_refused_by_name(model: Path) -> None:
    tensors = safetensors.torch.load_file(model)
    metadata = native._identity(make_card(tiny_config()))
    for change, message in (
        ({"projection.bias": torch.zeros(9)}, r"projection.bias is \(9,\) there, \(8,\) by the"),
        ({"projection.extra": torch.zeros(1)}, r"extra is \(1,\) there, unknown by the card"),
    ):
        safetensors.torch.save_file({**tensors, **change}, model, metadata)
        rehash(model)
        with pytest.raises(EncoderError, match=message):
            native.load(model)
    del tensors["projection.bias"]
    safetensors.torch.save_file(tensors, model, metadata)
    rehash(model)
    with pytest.raises(EncoderError, match=r"projection\.bias is missing there"):
        native.load(model)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "gguf"}, "format is 'gguf', not 'voiceguard-encoder'"),
        ({"format_version": 2}, "format_version is 2, not 1"),
        (
            {"architecture": {"type": "titanet"}},
            "architecture: type is 'titanet', not one of ecapa_tdnn",
        ),
        ({"architecture": {}}, "architecture: type is None, not one of ecapa_tdnn"),
        ({"architecture": {"type": "ecapa_tdnn", "layers": 9}}, "layers"),
        ({"features": {"type": "log_mel"}}, "features: fft_samples, .* must be stated"),
        ({"min_window_s": 0.01}, r"min_window_s must be at least 0\.0\d for this architecture"),
        ({"min_window_s": None}, "min_window_s must be a number, not None"),
        ({"figures": 3}, "figures must be a list, not 3"),
    ],
)
def test_a_wrong_card_is_refused_with_its_reason(
    model: Path, changes: dict[str, Any], message: str
) -> None:
    rewrite_card(model, **changes)
    with pytest.raises(EncoderError, match=message) as caught:
        native.load(model)
    assert str(native.card_path(model)) in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        '{"format": ',
        "\xff",
        "[" * 100_000,
        '{"a": 1e400}',
        f'{{"a": {"9" * 5000}}}',
    ],
)
def test_a_card_that_is_no_card_is_refused(model: Path, text: str) -> None:
    native.card_path(model).write_bytes(text.encode("latin-1"))
    with pytest.raises(EncoderError, match="is not a card"):
        native.load(model)


def test_a_network_in_training_is_saved_with_its_statistics(tmp_path: Path) -> None:
    network = EcapaTdnn(tiny_config()).train()
    network(torch.randn(4, 12, 60))
    path = tmp_path / "trained.safetensors"
    native.save(path, make_card(tiny_config()), network)
    trained = native.load(path)[1]
    assert isinstance(trained, EcapaTdnn)
    loaded = trained.input_layer.norm.running_mean
    assert loaded is not None
    assert network.input_layer.norm.running_mean is not None
    assert torch.equal(loaded, network.input_layer.norm.running_mean)


def test_a_card_can_be_written_again_when_figures_have_been_measured(model: Path) -> None:
    card, _ = native.load(model)
    measured = replace(card, figures=(*card.figures, Figure(what="Cllr", value="0.1")))
    native.save_card(native.card_path(model), measured)
    assert native.load(model)[0] == measured
    with pytest.raises(ValueError, match="no weights_sha256"):
        native.save_card(native.card_path(model), make_card(tiny_config()))


def test_the_shipped_cards_are_written_again_as_they_are() -> None:
    """Byte for byte: the order of a card's fields is that of the class."""
    for name in library.shipped_models():
        path = library.WEIGHTS_DIR / f"{name}.json"
        written = json.dumps(native.read_card(path).to_json(), indent=2, ensure_ascii=False) + "\n"
        assert written == path.read_text("utf-8")
