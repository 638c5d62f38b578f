"""NeMo's networks against the same steps written out, by NeMo's names, with padding and masks.

That the reading of its options is NeMo's own is what the parity tests of ``foreign`` show.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
import torch

from tests.encoder.nemo_files import changed, conv_config, ecapa_config, random_tensors
from tests.encoder.networks.nemo_steps import Config, as_nemo_saves, expected
from voiceguard.encoder.card.kinds import read_architecture, typed
from voiceguard.encoder.foreign.nemo.config import read_config
from voiceguard.encoder.foreign.nemo.tensors import to_native
from voiceguard.encoder.networks.nemo_conv import JasperBlockConfig, NemoConvConfig
from voiceguard.encoder.networks.nemo_decoder import SpeakerDecoderConfig, padded_frames
from voiceguard.encoder.networks.nemo_ecapa import NemoEcapaConfig

BLOCK = conv_config()["encoder"]["jasper"][1]
STRIDED = {**BLOCK, "stride": [2], "stride_last": True, "residual_mode": "stride_add"}
CONFIGS: dict[str, Config] = {
    "titanet": conv_config(),
    "unmasked": changed(conv_config(), "encoder", "conv_mask", value=False),
    "unmasked, not padded": changed(
        changed(conv_config(), "encoder", "conv_mask", value=False),
        *("preprocessor", "pad_to"),
        value=0,
    ),
    "one convolution": changed(
        conv_config(), "encoder", "jasper", 1, value={**BLOCK, "separable": False}
    ),
    "dilated": changed(conv_config(), "encoder", "jasper", 1, "dilation", value=[2]),
    "strided": changed(
        conv_config(),
        *("encoder", "jasper", 1),
        value=STRIDED,
    ),
    "strided, unmasked": changed(
        changed(conv_config(), "encoder", "conv_mask", value=False),
        *("encoder", "jasper", 1),
        value=STRIDED,
    ),
    "speakernet": changed(
        changed(conv_config(), "decoder", "pool_mode", value="xvector"),
        *("encoder", "jasper", 2, "se"),
        value=False,
    ),
    "two layers": changed(conv_config(), "decoder", "emb_sizes", value=[10, 8]),
    "two layers, xvector": changed(
        changed(conv_config(), "decoder", "pool_mode", value="xvector"),
        *("decoder", "emb_sizes"),
        value=[10, 8],
    ),
    "ecapa": ecapa_config(),
    "ecapa, not padded": changed(ecapa_config(), "preprocessor", "pad_to", value=0),
}


@pytest.mark.parametrize("num_frames", [31, 32, 41])
@pytest.mark.parametrize("name", CONFIGS)
def test_embeddings_are_those_of_nemos_steps(name: str, num_frames: int) -> None:
    config = CONFIGS[name]
    architecture, _ = read_config(config)
    tensors = as_nemo_saves(random_tensors(config))
    network = architecture.build().eval()
    network.load_state_dict(to_native(tensors, architecture))
    features = torch.randn(2, 12, num_frames, generator=torch.Generator().manual_seed(1)).double()
    # In double precision, where a frame of padding too many or too few shows.
    doubled = {name: tensor.double() for name, tensor in tensors.items()}
    with torch.inference_mode():
        found = network.double()(features)
    assert found.shape == (2, architecture.embedding_dim)
    torch.testing.assert_close(found, expected(config, doubled, features), atol=1e-10, rtol=1e-9)


def test_padding_matters_where_nothing_is_masked() -> None:
    """So that the test above would see a wrong number of frames."""
    network_of = {}
    for pad_to in (0, 16):
        architecture, _ = read_config(
            changed(ecapa_config(), "preprocessor", "pad_to", value=pad_to)
        )
        network_of[pad_to] = architecture.build().eval()
        tensors = random_tensors(ecapa_config())
        network_of[pad_to].load_state_dict(to_native(tensors, architecture))
    features = torch.randn(1, 12, 33, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        difference = network_of[0](features) - network_of[16](features)
    assert difference.abs().max() > 1e-5


@pytest.mark.parametrize(
    ("num_frames", "multiple", "padded"),
    [(15, 16, 16), (16, 16, 32), (31, 16, 32), (200, 16, 208), (200, 0, 201), (200, 1, 201)],
)
def test_features_have_one_frame_more_and_are_rounded_up(
    num_frames: int, multiple: int, padded: int
) -> None:
    assert padded_frames(num_frames, multiple) == padded


def test_titanet_large_has_the_papers_number_of_parameters() -> None:
    """25.3 million with the layer that tells its 16681 speakers apart (TitaNet, table 1)."""

    def block(filters: int, repeat: int, kernel_size: int) -> JasperBlockConfig:
        return JasperBlockConfig(
            filters=filters,
            repeat=repeat,
            kernel_size=kernel_size,
            is_residual=repeat > 1,
            se_reduction=8,
        )

    config = NemoConvConfig(
        blocks=(
            *(block(1024, 1, 3), block(1024, 3, 7), block(1024, 3, 11), block(1024, 3, 15)),
            block(3072, 1, 1),
        ),
        decoder=SpeakerDecoderConfig(num_in=3072, pooling="attention", embedding_sizes=(192,)),
    )
    with torch.device("meta"):
        network = config.build()
    num_parameters = sum(parameter.numel() for parameter in network.parameters())
    assert round((num_parameters + 16_681 * 192) / 1e6, 1) == 25.3


@pytest.mark.parametrize("name", CONFIGS)
def test_sizes_survive_json(name: str) -> None:
    architecture, _ = read_config(CONFIGS[name])
    values = json.loads(json.dumps(typed(architecture)))
    assert read_architecture(values) == architecture
    with pytest.raises(ValueError, match="heads"):
        read_architecture({**values, "heads": 2})
    with pytest.raises(ValueError, match="decoder"):
        read_architecture({k: v for k, v in values.items() if k != "decoder"})


def test_the_shortest_input_has_an_embedding() -> None:
    for config in CONFIGS.values():
        architecture, _ = read_config(config)
        network = architecture.build().eval()
        network.load_state_dict(to_native(random_tensors(config), architecture))
        with torch.inference_mode():
            found = network(torch.ones(1, 12, architecture.min_frames))
        assert torch.isfinite(found).all()


CONV = read_config(conv_config())[0]
ECAPA = read_config(ecapa_config())[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"blocks": ()}, "1 to 100 blocks"),
        ({"activation": "tanh"}, "relu, selu, swish, hardtanh"),
        ({"num_bands": 0}, "num_bands"),
        ({"decoder": replace(CONV.decoder, num_in=25)}, "takes 25 channels"),
    ],
)
def test_impossible_conv_networks_are_refused(changes: dict[str, Any], message: str) -> None:
    assert isinstance(CONV, NemoConvConfig)
    with pytest.raises(ValueError, match=message):
        replace(CONV, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"filters": 0}, "at least 1"),
        ({"repeat": 101}, "at most 100"),
        ({"kernel_size": 4}, "odd"),
        ({"stride": 2, "dilation": 2}, "not both"),
        ({"se_reduction": 17}, "0 to 16"),
        ({"stride": 2}, "stride by 4 together, its residual branch by 1"),
    ],
)
def test_impossible_blocks_are_refused(changes: dict[str, Any], message: str) -> None:
    block = JasperBlockConfig(filters=16, repeat=2, kernel_size=3, is_residual=True)
    with pytest.raises(ValueError, match=message):
        replace(block, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dilations": (1, 1, 1)}, "one entry per layer"),
        ({"kernel_sizes": (5, 3, 2, 1)}, "odd"),
        ({"num_groups": 5}, "multiple of 5"),
        ({"channels": (12, 16, 12, 24)}, "same multiple"),
        ({"channels": (12, 12, 12, 36)}, "all blocks together, 24"),
        ({"decoder": replace(ECAPA.decoder, num_in=25)}, "25"),
    ],
)
def test_impossible_ecapa_networks_are_refused(changes: dict[str, Any], message: str) -> None:
    assert isinstance(ECAPA, NemoEcapaConfig)
    with pytest.raises(ValueError, match=message):
        replace(ECAPA, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pooling": "tap"}, "attention, xvector, not 'tap'"),
        ({"embedding_sizes": ()}, "at least one"),
        ({"attention_channels": 0}, "at least 1"),
    ],
)
def test_impossible_decoders_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(CONV.decoder, **changes)
