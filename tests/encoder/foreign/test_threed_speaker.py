"""CAM++ of 3D-Speaker's layout: sizes from the tensors, embeddings as there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from tests.encoder.foreign.made import encoder_of, make_taoruijie, network_of
from tests.encoder.foreign.made_campplus import campplus_state, make_campplus
from voiceguard.encoder import golden
from voiceguard.encoder.foreign import detecting, taoruijie, threed_speaker
from voiceguard.encoder.networks.campplus_config import CamPlusPlusConfig
from voiceguard.encoder.running.torch_encoder import TorchEncoder
from voiceguard.errors import EncoderError
from voiceguard.types import Window

if TYPE_CHECKING:
    from collections.abc import Callable

    from voiceguard.types import Embedding, Samples

EXPECTED = json.loads(Path(__file__).with_name("campplus_expected.json").read_text())
"""By 3D-Speaker's own code (speakerlab-slim 0.1.0, torch 2.11, torchaudio's Kaldi fbank), of
``golden.signal`` of so many seconds: "tiny" of ``campplus_state()``, "real" of the published
campplus_cn_en_common.pt."""


def assert_as_3d_speaker(raw: Callable[[Samples], Embedding], weights: str) -> None:
    """Every entry of every length, to 1e-4."""
    for seconds, wanted in EXPECTED[weights].items():
        found = raw(golden.signal(float(seconds)))
        assert np.abs(found - np.array(wanted)).max() <= 1e-4, seconds


def test_embeddings_are_those_of_3d_speakers_own_code(tmp_path: Path) -> None:
    imported = detecting.read(make_campplus(tmp_path / "tiny.pt"))
    encoder = encoder_of(imported)
    assert_as_3d_speaker(encoder.raw, "tiny")


def test_many_at_once_are_embedded_as_one_by_one(tmp_path: Path) -> None:
    """As on a GPU: in one batch, whatever their lengths."""
    imported = detecting.read(make_campplus(tmp_path / "tiny.pt"))
    single, network = encoder_of(imported), network_of(imported)
    front_end = imported.features.build()
    batched = TorchEncoder(
        single.info, front_end, lambda x: network(x[None])[0], single.device, network
    )
    given = [golden.signal(seconds) for seconds in (2.0, 0.5, 3.3)]
    for found in (single.embed_many(given), batched.embed_many(given)):
        assert np.allclose(found, [single.embed(each) for each in given], atol=1e-5)


def test_a_stream_gives_what_whole_windows_give(tmp_path: Path) -> None:
    """Its frames are computed once, and each window's mean is its own."""
    imported = detecting.read(make_campplus(tmp_path / "tiny.pt"))
    encoder = encoder_of(imported)
    voice, stream = golden.signal(6.0), encoder.open_stream()
    for start, end in ((0, 16_000), (0, 32_000), (8000, 56_000), (16_000, 64_000), (0, 96_000)):
        cut = Window(
            segment=0,
            first_sample=start,
            samples=voice[start:end],
            net_speech_s=1.0,
            segment_speech_s=1.0,
            snr_db=20.0,
        )
        assert np.abs(stream.embed(cut) - encoder.embed(cut.samples)).max() < 1e-5


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ({"embedding_dim": 12}, {"embedding_dim": 12}),
        ({"num_bands": 24}, {"num_bands": 24}),
        ({"block_layers": (1, 2, 3)}, {"block_layers": (1, 2, 3)}),
        ({"bottleneck": 6}, {"bottleneck_channels": 6, "mask_channels": 3}),
        ({"channels": 12, "growth": 2}, {"channels": 12, "growth": 2}),
    ],
    ids=str,
)
def test_any_sizes_are_read_from_the_tensors(
    tmp_path: Path, sizes: dict[str, int], expected: dict[str, object]
) -> None:
    imported = threed_speaker.read(make_campplus(tmp_path / "any.pt", **sizes))
    architecture = imported.architecture
    assert isinstance(architecture, CamPlusPlusConfig)
    assert {name: getattr(architecture, name) for name in expected} == expected


def test_it_is_told_from_other_layouts(tmp_path: Path) -> None:
    ours, other = make_campplus(tmp_path / "a.pt"), make_taoruijie(tmp_path / "b.pt")
    assert detecting.reader_of(ours).NAME == threed_speaker.NAME
    assert detecting.reader_of(other).NAME == taoruijie.NAME


def test_a_tensor_that_is_missing_or_unknown_is_named(tmp_path: Path) -> None:
    path = tmp_path / "it.pt"
    state = campplus_state(block_layers=(1, 1, 1))
    without = {k: v for k, v in state.items() if k != "xvector.block2.tdnnd1.linear1.weight"}
    torch.save(without, path)
    with pytest.raises(EncoderError, match=r"blocks\.1\.layers\.0\.bottleneck\.weight is missing"):
        threed_speaker.read(path)
    torch.save({**state, "projection.weight": torch.zeros(3, 4)}, path)
    with pytest.raises(EncoderError, match="two tensors are called projection"):
        threed_speaker.read(path)
    torch.save({**state, "classifier.weight": torch.zeros(3, 4)}, path)
    with pytest.raises(EncoderError, match=r"classifier\.weight is \(3, 4\) there, unknown by"):
        threed_speaker.read(path)
    no_input = {k: v for k, v in state.items() if not k.startswith("xvector.dense")}
    torch.save(no_input, path)
    with pytest.raises(EncoderError, match=r"has no tensor for 'projection\.weight'"):
        threed_speaker.read(path)


def test_nonsense_shapes_are_no_crash(tmp_path: Path) -> None:
    path = tmp_path / "it.pt"
    state = campplus_state(block_layers=(1, 1, 1))
    for name in ("xvector.tdnn.linear.weight", "xvector.block1.tdnnd1.cam_layer.linear1.weight"):
        torch.save({**state, name: torch.zeros(())}, path)
        with pytest.raises(EncoderError):
            threed_speaker.read(path)


def test_weights_that_were_saved_inside_a_distributed_wrapper_are_read(tmp_path: Path) -> None:
    path = make_campplus(tmp_path / "theirs.bin")
    state = torch.load(path, weights_only=True)
    torch.save({f"module.{name}": tensor for name, tensor in state.items()}, path)
    assert threed_speaker.recognises(path)
    assert (
        threed_speaker.read(path).architecture
        == threed_speaker.read(make_campplus(tmp_path / "plain.bin")).architecture
    )
