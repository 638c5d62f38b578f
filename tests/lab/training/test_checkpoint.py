"""Checkpoints: whole or not there, and never another run's."""

from __future__ import annotations

import resource
import signal
from typing import TYPE_CHECKING

import pytest
import torch

from voiceguard.errors import StateError, UsageError
from voiceguard.lab.training.checkpoint import load_checkpoint, save_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

RUN = {"config": {"seed": 0, "augment": {"p_room": 0.5}}, "material": "abc"}


def saved(folder: Path) -> Path:
    path = folder / "checkpoint.safetensors"
    save_checkpoint(path, {"weight": torch.arange(4.0)}, {"step": 3, "run": RUN})
    return path


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    tensors, about = load_checkpoint(saved(tmp_path), RUN)

    assert tensors["weight"].tolist() == [0.0, 1.0, 2.0, 3.0]
    assert about == {"step": 3, "run": RUN}


def test_another_run_is_refused_with_what_differs(tmp_path: Path) -> None:
    path = saved(tmp_path)
    other = {"config": {"seed": 1, "augment": {"p_room": 0.5}}, "material": "abc"}

    with pytest.raises(UsageError, match=r"config\.seed was 0, now 1") as caught:
        load_checkpoint(path, other)
    assert "--out" in caught.value.hint


@pytest.mark.parametrize("damage", [b"", b"not a checkpoint", b"\x02\0\0\0\0\0\0\0{}"])
def test_a_damaged_one_is_refused_by_name(tmp_path: Path, damage: bytes) -> None:
    path = saved(tmp_path)
    path.write_bytes(damage)

    with pytest.raises(StateError, match=r"checkpoint\.safetensors is damaged"):
        load_checkpoint(path, RUN)


def test_a_full_disk_leaves_the_one_before(tmp_path: Path) -> None:
    path = saved(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(StateError, match="could not be written"):
            save_checkpoint(path, {"weight": torch.zeros(10_000)}, {"step": 4, "run": RUN})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)

    assert load_checkpoint(path, RUN)[1]["step"] == 3
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
