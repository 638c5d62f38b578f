"""Hostile and damaged ``.nemo`` archives, and as large as the published ones."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pytest
import torch

from tests.encoder.nemo_files import conv_config, members, random_tensors, saved, write_archive
from voiceguard.encoder.foreign.nemo import archive as nemo
from voiceguard.errors import EncoderError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Payload:
    """What runs when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("save", [saved, pickle.dumps])
def test_a_payload_in_the_weights_is_not_run(
    tmp_path: Path, save: Callable[[object], bytes]
) -> None:
    victim = tmp_path / "victim"
    content = members(conv_config(), random_tensors(conv_config()))
    content["./model_weights.ckpt"] = save({"a": Payload(victim)})
    with pytest.raises(EncoderError, match=r"model_weights\.ckpt"):
        nemo.read(write_archive(tmp_path / "model.nemo", content))
    assert not victim.exists()


BOMB = b"a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + b"".join(
    b"a%d: &a%d [%s]\n" % (i, i, b", ".join([b"*a%d" % (i - 1)] * 9)) for i in range(1, 12)
)


@pytest.mark.parametrize(
    "config",
    [
        BOMB,
        b"preprocessor: " + b"[" * 5000,
        b"preprocessor: !!python/object/apply:os.system ['touch victim']\n",
        b"- 1\n",
        b"\xff\xfe\x00",
        b"",
    ],
    ids=["bomb", "deep", "object", "list", "binary", "empty"],
)
def test_hostile_configurations_are_refused(tmp_path: Path, config: bytes) -> None:
    content = {"./model_config.yaml": config, "./model_weights.ckpt": saved({})}
    with pytest.raises(EncoderError, match=r"model_config\.yaml|no section|_target_"):
        nemo.read(write_archive(tmp_path / "model.nemo", content))


def test_a_configuration_larger_than_any_is_refused(tmp_path: Path) -> None:
    content = {"./model_config.yaml": bytes(2**20 + 1), "./model_weights.ckpt": b""}
    with pytest.raises(EncoderError, match=r"model_config\.yaml has 1,048,577 bytes; at most"):
        nemo.read(write_archive(tmp_path / "model.nemo", content))


def test_a_hostile_member_is_refused(tmp_path: Path) -> None:
    content = members(conv_config(), random_tensors(conv_config()))
    path = write_archive(tmp_path / "model.nemo", {**content, "../../.bashrc": b"x"})
    with pytest.raises(EncoderError, match="leads out of it"):
        nemo.read(path)


def test_truncated_archives_are_told(tmp_path: Path) -> None:
    content = members(conv_config(), random_tensors(conv_config()))
    path = write_archive(tmp_path / "model.nemo", content)
    whole, weights = path.read_bytes(), content["./model_weights.ckpt"]
    end = whole.rindex(weights[-30:]) + 30
    for length in range(0, end, end // 40):
        path.write_bytes(whole[:length])
        with pytest.raises(EncoderError):
            nemo.read(path)


def test_flipped_bits_of_weights_are_told(tmp_path: Path) -> None:
    """A tensor's bytes have a checksum; torch itself does not look at it."""
    tensors = random_tensors(conv_config())
    path = write_archive(tmp_path / "model.nemo", members(conv_config(), tensors))
    whole = bytearray(path.read_bytes())
    for name in ("encoder.encoder.0.mconv.1.conv.weight", "decoder.emb_layers.0.1.bias"):
        place = whole.index(tensors[name].numpy().tobytes())
        for offset in (0, 3, 17):
            flipped = bytearray(whole)
            flipped[place + offset] ^= 1
            path.write_bytes(flipped)
            with pytest.raises(EncoderError, match="damaged"):
                nemo.read(path)


def test_archives_of_the_size_of_published_ones_are_read(tmp_path: Path) -> None:
    """200 MB of weights, most of them in the layer that is left out."""
    tensors = random_tensors(conv_config())
    tensors["decoder.final.weight"] = torch.zeros(50_000, 1000)
    path = write_archive(tmp_path / "model.nemo", members(conv_config(), tensors))
    assert path.stat().st_size > 200e6
    assert nemo.read(path).architecture.embedding_dim == 8
    path.unlink()  # pytest would keep it for a while
