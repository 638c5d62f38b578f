"""Checkpoints of the TaoRuijie layout: sizes from the tensors, embeddings as there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from tests.encoder.foreign.made import (
    PARITY,
    assert_parity,
    encoder_of,
    make_speechbrain,
    make_taoruijie,
    needs_parity,
    taoruijie_state,
)
from voiceguard.encoder.card.kinds import typed
from voiceguard.encoder.foreign import taoruijie
from voiceguard.encoder.frontends.taoruijie import TaoRuijieMel, TaoRuijieMelConfig
from voiceguard.encoder.networks.taoruijie import TaoRuijieConfig
from voiceguard.errors import EncoderError

if TYPE_CHECKING:
    from pathlib import Path


@needs_parity
def test_embeddings_are_those_of_that_implementation() -> None:
    path = PARITY / "taoruijie" / "pretrain.model"
    assert taoruijie.recognises(path)
    imported = taoruijie.read(path)
    encoder = encoder_of(imported)
    assert_parity(encoder.raw, path.with_name("expected.npz"))


@pytest.mark.parametrize(
    "sizes",
    [{}, {"channels": 32}, {"res2net_scale": 2}, {"num_mels": 20, "embedding_dim": 5}],
    ids=str,
)
def test_any_sizes_are_read_from_the_tensors(tmp_path: Path, sizes: dict[str, int]) -> None:
    path = make_taoruijie(tmp_path / "any.pt", **sizes)
    imported = taoruijie.read(path)
    architecture = imported.architecture
    assert isinstance(architecture, TaoRuijieConfig)
    assert {name: typed(architecture)[name] for name in sizes} == sizes
    assert imported.network is not None
    assert set(imported.network.state_dict()) == set(taoruijie_state(**sizes))


@pytest.mark.parametrize("prefix", ["", "module.speaker_encoder.", "speaker_encoder."])
def test_it_does_not_matter_whose_the_tensors_are_said_to_be(tmp_path: Path, prefix: str) -> None:
    path = tmp_path / "prefixed.pt"
    torch.save({prefix + name: tensor for name, tensor in taoruijie_state().items()}, path)
    assert taoruijie.recognises(path)
    assert taoruijie.read(path).architecture.embedding_dim == 8


def test_the_older_layout_of_torch_save_is_read(tmp_path: Path) -> None:
    path = tmp_path / "old.model"
    torch.save(taoruijie_state(), path, _use_new_zipfile_serialization=False)
    assert taoruijie.recognises(path)
    assert taoruijie.read(path).architecture.embedding_dim == 8


def front_end(**changes: Any) -> dict[str, torch.Tensor]:  # noqa: ANN401 - any parameter
    ours = TaoRuijieMel(TaoRuijieMelConfig(**{"num_mels": 16, **changes}))
    missing = ours.frame_samples - 400
    prefix = "speaker_encoder.torchfbank"
    return {
        f"{prefix}.0.flipped_filter": torch.tensor([[[-ours.preemphasis, 1.0]]]),
        f"{prefix}.1.spectrogram.window": ours.window[missing // 2 : missing // 2 + 400].clone(),
        f"{prefix}.1.mel_scale.fb": ours.mel_bands.clone(),
    }


def with_front_end(path: Path, **changes: torch.Tensor | Any) -> Path:  # noqa: ANN401 - as above
    tensors = torch.load(make_taoruijie(path), weights_only=True)
    torch.save({**tensors, **front_end(**changes)}, path)
    return path


def test_parameters_of_the_front_end_are_read_from_its_tensors(tmp_path: Path) -> None:
    path = with_front_end(tmp_path / "it.pt", preemphasis=0.95, fft_samples=1024)
    assert taoruijie.read(path).features == TaoRuijieMelConfig(
        num_mels=16, preemphasis=0.95, fft_samples=1024
    )


def test_another_front_end_is_refused(tmp_path: Path) -> None:
    path = with_front_end(tmp_path / "it.pt", min_hz=50.0)
    with pytest.raises(EncoderError, match="filters of its front end are not those"):
        taoruijie.read(path)
    tensors = torch.load(with_front_end(path), weights_only=True)
    window = "speaker_encoder.torchfbank.1.spectrogram.window"
    torch.save({**tensors, window: torch.hann_window(400)}, path)
    with pytest.raises(EncoderError, match="window of its front end are not those"):
        taoruijie.read(path)
    filters = "speaker_encoder.torchfbank.0.flipped_filter"
    torch.save({**tensors, filters: torch.ones(1, 1, 3)}, path)
    with pytest.raises(EncoderError, match="not a filter of two taps"):
        taoruijie.read(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fc6.bias": torch.zeros(9)}, r"fc6.bias is \(9,\) there, \(8,\) by the card"),
        ({"layer5.weight": torch.zeros(3)}, "layer5.weight is .* unknown by the card"),
        ({"conv1.weight": None}, "no tensor 'conv1.weight'"),
        ({"conv1.weight": torch.zeros(3)}, "not enough values"),
        ({"conv1.weight": torch.zeros(0, 16, 5)}, "channels must be between"),
        ({"bn6.bias": None}, "bn6.bias is missing"),
        ({"other.attention.4.weight": torch.zeros(3)}, "holds 2 encoders"),
    ],
)
def test_tensors_of_another_network_are_refused_by_name(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    path = tmp_path / "wrong.pt"
    tensors = {**taoruijie_state(), **changes}
    torch.save({name: tensor for name, tensor in tensors.items() if tensor is not None}, path)
    with pytest.raises(EncoderError, match=message) as caught:
        taoruijie.read(path)
    assert str(path) in str(caught.value)


def test_other_files_are_not_taken_for_one(tmp_path: Path) -> None:
    other = make_speechbrain(tmp_path / "other")
    scripted = tmp_path / "scripted.pt"
    scripted.write_bytes(b"PK\x03\x04 layer4.weight attention.4.weight fc6.weight")
    for path in (other, other / "embedding_model.ckpt", other / "hyperparams.yaml", tmp_path / "0"):
        assert not taoruijie.recognises(path)
    assert not taoruijie.recognises(tmp_path)
