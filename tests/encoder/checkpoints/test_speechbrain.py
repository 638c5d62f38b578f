"""SpeechBrain's tensor names."""

from __future__ import annotations

import wave

import numpy as np
import pytest
import safetensors.torch
import torch

from tests.services import SHARED
from voiceguard.encoder.checkpoints.speechbrain import to_native
from voiceguard.encoder.ecapa_tdnn import EcapaTdnn, EcapaTdnnConfig
from voiceguard.encoder.features import LogMel, LogMelConfig

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
