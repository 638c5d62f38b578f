"""Small checkpoints in other projects' layouts, with random weights, made where they are needed."""

from __future__ import annotations

import io
import re
import wave
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from tests.encoder.conftest import random_network, tiny_config
from tests.services import SHARED
from voiceguard.encoder import installing
from voiceguard.encoder.card import native
from voiceguard.encoder.networks.taoruijie import TaoRuijieConfig
from voiceguard.encoder.running.torch_encoder import TorchEncoder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from voiceguard.encoder.foreign.imported import Imported
    from voiceguard.encoder.networks.ecapa_config import EcapaTdnnConfig
    from voiceguard.types import Embedding, Samples

PARITY = SHARED / "parity"
RECORDINGS = ("awb-1", "slt-2")

needs_parity = pytest.mark.skipif(
    not PARITY.is_dir(), reason=f"{PARITY} is not here (it is beside developers' checkouts only)"
)

_THEIRS = (
    (r"^blocks\.(\d+)", lambda match: f"blocks.{int(match[1]) + 1}"),
    (r"^input_layer\.", "blocks.0."),
    (r"\.dense_in\.", ".tdnn1."),
    (r"\.res2conv\.layers\.", ".res2net_block.blocks."),
    (r"\.dense_out\.", ".tdnn2."),
    (r"\.squeeze_excitation\.squeeze\.", ".se_block.conv1.conv."),
    (r"\.squeeze_excitation\.excite\.", ".se_block.conv2.conv."),
    (r"\.shortcut\.", ".shortcut.conv."),
    (r"^aggregation\.", "mfa."),
    (r"^pooling\.hidden\.", "asp.tdnn."),
    (r"^pooling\.scores\.", "asp.conv."),
    (r"^pooling_norm\.", "asp_bn."),
    (r"^projection\.", "fc.conv."),
    (r"\b(conv|norm)\.(?=(weight|bias|running_\w+|num_batches_tracked)$)", r"\1.\1."),
    (r"(asp\.conv|conv1|conv2|fc|shortcut)\.conv\.conv\.", r"\1.conv."),
    (r"asp_bn\.", "asp_bn.norm."),
)


def speechbrain_names(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Our tensors by SpeechBrain's names."""
    theirs = {}
    for ours, tensor in tensors.items():
        name = ours
        for pattern, replacement in _THEIRS:
            name = re.sub(pattern, replacement, name)
        single_frame = re.search(r"(squeeze|excite|projection)\.weight$", ours)
        theirs[name] = tensor.unsqueeze(2) if single_frame else tensor
    return theirs


def speechbrain_yaml(config: EcapaTdnnConfig, **changes: str) -> str:
    """The description of a network; a change replaces the line of that key."""
    lines = {
        "n_mels": str(config.num_mels),
        "compute_features": "!new:speechbrain.lobes.features.Fbank\n    n_mels: !ref <n_mels>",
        "mean_var_norm": "!new:speechbrain.processing.features.InputNormalization\n"
        "    norm_type: sentence\n    std_norm: False",
        "embedding_model": "!new:speechbrain.lobes.models.ECAPA_TDNN.ECAPA_TDNN\n"
        f"    input_size: !ref <n_mels>\n    channels: {list(config.channels)}\n"
        f"    kernel_sizes: {list(config.kernel_sizes)}\n    dilations: {list(config.dilations)}\n"
        f"    attention_channels: {config.attention_channels}\n"
        f"    se_channels: {config.se_channels}\n    res2net_scale: {config.res2net_scale}\n"
        f"    global_context: {config.global_context}\n    lin_neurons: {config.embedding_dim}",
        "modules": "{embedding_model: !ref <embedding_model>}",
        "pretrainer": "!new:speechbrain.utils.parameter_transfer.Pretrainer\n"
        "    paths: {embedding_model: !ref <n_mels>/embedding_model.ckpt}",
    }
    return "".join(f"{name}: {value}\n" for name, value in {**lines, **changes}.items())


def make_speechbrain(directory: Path, config: EcapaTdnnConfig | None = None) -> Path:
    """A whole checkpoint directory of a tiny network."""
    config = config or tiny_config()
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "hyperparams.yaml").write_text(speechbrain_yaml(config))
    state = speechbrain_names(random_network(config).state_dict())
    torch.save(state, directory / "embedding_model.ckpt")
    return directory


def taoruijie_state(**changes: int) -> dict[str, Any]:
    """Tensors of a tiny network of that layout, random in everything."""
    sizes = {"num_mels": 16, "channels": 16, "aggregated_channels": 24, "res2net_scale": 4}
    sizes |= {"se_channels": 6, "attention_channels": 10, "embedding_dim": 8}
    generator = torch.Generator().manual_seed(3)
    state = {}
    for name, tensor in TaoRuijieConfig(**{**sizes, **changes}).build().state_dict().items():
        drawn = torch.rand(tensor.shape, generator=generator) + 0.2
        state[name] = drawn if tensor.is_floating_point() else tensor
        if name.endswith("weight") and tensor.ndim > 1:
            state[name] = (drawn - 0.7) / tensor[0].numel() ** 0.5
    return state


def make_taoruijie(path: Path, **changes: int) -> Path:
    """A whole checkpoint file, its classifier included."""
    state = {f"speaker_encoder.{key}": value for key, value in taoruijie_state(**changes).items()}
    torch.save({**state, "speaker_loss.weight": torch.zeros(3, 8)}, path)
    return path


def recording(name: str) -> Samples:
    """One of the recordings whose embeddings are known."""
    with wave.open(str(PARITY / f"{name}.wav")) as file:
        pcm = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    return pcm.astype(np.float32) / np.float32(32768)


def assert_parity(raw: Callable[[Samples], Embedding], expected: Path) -> None:
    """Each embedding, and how the two recordings differ, to 1e-4 of the largest entry."""
    theirs = np.load(expected)
    ours = {name: raw(recording(name)) for name in RECORDINGS}
    pairs = [(ours[name], theirs[name]) for name in RECORDINGS]
    first, second = RECORDINGS
    pairs.append((ours[first] - ours[second], theirs[first] - theirs[second]))
    for found, wanted in pairs:
        assert np.abs(found - wanted).max() <= 1e-4 * np.abs(wanted).max()


def rezipped(content: bytes, change: Callable[[str, bytes], bytes]) -> bytes:
    """A torch archive whose members were changed, with right check sums."""
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as source,
        zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as target,
    ):
        for entry in source.infolist():
            target.writestr(entry.filename, change(entry.filename, source.read(entry)))
    return out.getvalue()


def encoder_of(imported: Imported) -> TorchEncoder:
    """The encoder of a network that was read, as it would be installed."""
    card = installing.card_of(imported, "it")
    return TorchEncoder.of(card, network_of(imported), device="cpu")


def network_of(imported: Imported) -> torch.nn.Module:
    """The network that was read, or that is made of arrays that were."""
    if imported.network is not None:
        return imported.network
    assert imported.arrays is not None
    state = {name: torch.from_numpy(array) for name, array in imported.arrays.items()}
    return native.build(imported.architecture, state, found_in="it")
