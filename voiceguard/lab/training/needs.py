"""What a run needs beside speech, looked at before hours are spent: packages, files, disk, memory.

In: inputs, a recipe, and then what was gathered. Out: nothing, or an error that says what is
missing.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from voiceguard.encoder.networks.campplus_config import CamPlusPlusConfig
from voiceguard.errors import StateError, UsageError
from voiceguard.lab.corpora.corpus import Skip, read_noise
from voiceguard.lab.training.config import ROUNDS
from voiceguard.lab.training.corruption.rooms import require_simulator
from voiceguard.lab.training.speech.material import MIN_TUNING_SPEAKERS
from voiceguard.lab.training.students.ecapa import network_of

if TYPE_CHECKING:
    from voiceguard.lab.training.config import TrainingConfig
    from voiceguard.lab.training.inputs import Inputs
    from voiceguard.lab.training.speech.material import Material

_BYTES_PER_SAMPLE = 2
_COPIES_IN_MEMORY = 4
"""While a round of voices is made: its samples as float32, as 16-bit numbers and as a file."""
_COPIES_IF_DRAWN = 2
"""The speech by label, and what is read of it to order it."""
_BYTES_PER_WEIGHT = 4
_COPIES_IN_CHECKPOINT = 4
"""Of each weight: its own value, its average and two moments."""
_CHECKPOINTS = 2
"""The old one stands until the new one is whole."""
_MEGABYTE = 1e6
_MEMINFO = Path("/proc/meminfo")


def check_inputs(inputs: Inputs, config: TrainingConfig) -> None:
    """Looks for packages, files and room for checkpoints; decodes nothing.

    Raises:
        VoiceguardError: A package is missing.
        UsageError: There is no noise or no room where it was said to be.
        StateError: Two checkpoints have no room on the disk.
    """
    if inputs.noise is not None:
        read_noise(inputs.noise, split=inputs.split)
    if config.augment.p_room:
        require_simulator()
        if inputs.rooms is not None:
            read_noise(inputs.rooms, split=inputs.split)
    _check_room_for_checkpoints(inputs.out, config)


def _check_room_for_checkpoints(folder: Path, config: TrainingConfig) -> None:
    with torch.device("meta"):  # sizes without weights
        network = network_of(config) if config.tuning is None else CamPlusPlusConfig().build()
        weights = sum(parameter.numel() for parameter in network.parameters())
    needed = _CHECKPOINTS * _COPIES_IN_CHECKPOINT * _BYTES_PER_WEIGHT * weights
    if (free := shutil.disk_usage(folder).free) < needed:
        raise StateError(
            f"checkpoints of this network take {needed / _MEGABYTE:.0f} MB in {folder}, where "
            f"{free / _MEGABYTE:.0f} MB are free",
            hint="Make room, or name another --out.",
        )


def check_space(folder: Path, material: Material, config: TrainingConfig) -> None:
    """Looks whether all rounds of voices fit on the disk, and into memory what has to be there.

    Raises:
        StateError: They don't.
    """
    round_bytes = _BYTES_PER_SAMPLE * sum(len(passage.pcm) for passage in material.passages)
    if config.voices == ROUNDS:
        _check_disk(folder, round_bytes, config)
    copies = _COPIES_IN_MEMORY if config.voices == ROUNDS else _COPIES_IF_DRAWN
    available = available_memory()
    if available is not None and available < copies * round_bytes:
        raise StateError(
            f"training on this speech takes {copies * round_bytes / _MEGABYTE:.0f} MB of memory, "
            f"where {available / _MEGABYTE:.0f} MB are available",
            hint="Take less speech of each speaker: --set max_speaker_s=S.",
        )


def _check_disk(folder: Path, round_bytes: int, config: TrainingConfig) -> None:
    there = sum(path.stat().st_size for path in folder.glob("voices-*.i16"))
    needed = config.num_voices * round_bytes - there
    if (free := shutil.disk_usage(folder).free) < needed:
        raise StateError(
            f"{config.num_voices} voices of this speech take {needed / _MEGABYTE:.0f} MB in "
            f"{folder}, where {free / _MEGABYTE:.0f} MB are free",
            hint="Make room, name another --out, or take fewer voices: --set num_voices=N.",
        )


def available_memory() -> int | None:
    """Bytes that can be had without swapping; None where the system does not say."""
    try:
        lines = _MEMINFO.read_text("ascii").splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(found[0]) * 1024 if found else None


def without_short(material: Material, shortest_s: float) -> Material:
    """Leaves out the passages that are too short, and names them.

    Args:
        material: As gathered.
        shortest_s: What the teacher needs, times the speed of the fastest voice.

    Raises:
        UsageError: Hardly anybody is left.
    """
    short = [passage for passage in material.passages if passage.seconds < shortest_s]
    reason = f"a passage shorter than the {shortest_s:.2f} s that teacher and fastest voice need"
    left = replace(
        material,
        passages=tuple(each for each in material.passages if each.seconds >= shortest_s),
        skips=(*material.skips, *(Skip(Path(each.speaker), reason) for each in short)),
    )
    if (num := len(left.speakers)) < MIN_TUNING_SPEAKERS:
        raise UsageError(
            f"{num} speakers have a passage of {shortest_s:.2f} s, which teacher and fastest voice "
            "need",
            hint="Add longer recordings, or narrow changed_speed.",
        )
    return left
