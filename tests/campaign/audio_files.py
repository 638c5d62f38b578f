"""Mutated audio files: whatever a file holds, it is decoded or refused by name, within bounds.

Files are made on the spot, in every container, then damaged by a seeded generator. A process of its
own reads them, so that a crash is seen as one.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import structlog

from tests.audio.sound_files import tone, write_audio
from tests.campaign.protocol import ViolationError
from voiceguard.audio.files import SoundFile
from voiceguard.errors import AudioError
from voiceguard.lab.bench.memory import peak_memory_mb

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.campaign.protocol import Campaign, Figure

MAX_FILE_S = 5.0
"""Files last half a second; reading one takes milliseconds."""
MAX_GROWTH_MB = 150.0
CONTAINERS: Mapping[str, tuple[str, str, str, dict[str, Any]]] = {
    "wav": ("wav", "pcm_s16le", "s16", {}),
    "wav-float": ("wav", "pcm_f32le", "flt", {}),
    "wav-alaw": ("wav", "pcm_alaw", "s16", {}),
    "rf64": ("wav", "pcm_s24le", "s32", {"options": {"rf64": "always"}}),
    "w64": ("w64", "pcm_s16le", "s16", {}),
    "aiff": ("aiff", "pcm_s16be", "s16", {}),
    "au": ("au", "pcm_s16be", "s16", {}),
    "caf": ("caf", "pcm_s16be", "s16", {}),
    "flac": ("flac", "flac", "s16", {}),
    "ogg-flac": ("ogg", "flac", "s16", {}),
    "opus": ("opus", "libopus", "flt", {}),
    "mp3": ("mp3", "libmp3lame", "fltp", {}),
    "aac": ("aac", "aac", "fltp", {}),
    "m4a": ("m4a", "aac", "fltp", {}),
    "alac": ("m4a", "alac", "s16p", {}),
    "mka": ("mka", "libopus", "flt", {}),
    "adpcm": ("wav", "adpcm_ima_wav", "s16p", {}),
    "wavpack": ("wv", "wavpack", "fltp", {}),
    "tta": ("tta", "tta", "s16", {}),
}

Content: TypeAlias = "bytearray"
Mutation: TypeAlias = Callable[[Content, np.random.Generator], Content]


def make_files(folder: Path) -> dict[str, bytes]:
    """Half a second in every container, by name."""
    made: dict[str, bytes] = {}
    for name, (suffix, codec, sample_format, options) in CONTAINERS.items():
        channels = 1 + len(made) % 2
        path = folder / f"{name}.{suffix}"
        write_audio(
            path, tone(0.5, 48_000, channels), 48_000, codec=codec, sample_format=sample_format,
            **options,
        )  # fmt: skip
        made[f"{name}.{suffix}"] = path.read_bytes()
    return made


def _place(content: Content, rng: np.random.Generator) -> int:
    """Headers are short, and hit half of the time."""
    end = min(len(content), 200) if rng.random() < 0.5 else len(content)
    return int(rng.integers(max(1, end)))


def _flip(content: Content, rng: np.random.Generator) -> Content:
    for _ in range(int(rng.integers(1, 9))):
        if content:
            content[_place(content, rng)] ^= 1 << int(rng.integers(8))
    return content


def _overwrite(content: Content, rng: np.random.Generator) -> Content:
    first, length = _place(content, rng), int(rng.integers(1, 400))
    fill = (bytes(length), b"\xff" * length, rng.bytes(length))[int(rng.integers(3))]
    content[first : first + length] = fill
    return content


def _extreme(content: Content, rng: np.random.Generator) -> Content:
    first, size = _place(content, rng), int(rng.choice([2, 4, 8]))
    highest = (1 << 8 * size) - 1
    number = (0, 1, highest >> 1, (highest >> 1) + 1, highest)[int(rng.integers(5))]
    content[first : first + size] = number.to_bytes(size, "little" if rng.random() < 0.5 else "big")
    return content


def _truncate(content: Content, rng: np.random.Generator) -> Content:
    return content[: _place(content, rng)]


def _remove(content: Content, rng: np.random.Generator) -> Content:
    first = _place(content, rng)
    del content[first : first + int(rng.integers(1, 400))]
    return content


def _repeat(content: Content, rng: np.random.Generator) -> Content:
    first, length = _place(content, rng), int(rng.integers(1, 400))
    content[first:first] = content[first : first + length] * int(rng.integers(1, 20))
    return content


MUTATIONS: tuple[Mutation, ...] = (_flip, _overwrite, _extreme, _truncate, _remove, _repeat)


def mutated(files: Mapping[str, bytes], seed: int) -> tuple[str, bytes]:
    """A file's name and what became of its content; the same for the same seed."""
    rng = np.random.default_rng(seed)
    name = str(rng.choice(sorted(files)))
    content = bytearray(files[name])
    for _ in range(int(rng.integers(1, 4))):
        content = MUTATIONS[int(rng.integers(len(MUTATIONS)))](content, rng)
    return name, bytes(content)


def read_one(path: Path) -> str:
    """What became of a file: decoded, damaged, or refused.

    Raises:
        Exception: Whatever is no refusal by name.
    """
    file = SoundFile(path)
    try:
        for block in file:
            if not np.isfinite(block.samples).all():
                return "not finite"
    except AudioError as error:
        return "refused" if error.hint and str(path) in str(error) else "refused without words"
    return "damaged" if file.report is not None and file.report.shortfall else "decoded"


def read_many(folder: Path, seeds: Iterator[int], until_s: float) -> dict[str, Any]:
    """Reads mutated files, in this process, until the seeds or the time are over."""
    structlog.configure(processors=[_no_log])
    files = make_files(folder)
    outcomes: Counter[str] = Counter()
    faults: list[str] = []
    slowest_s = 0.0
    before_mb = peak_memory_mb()
    for seed in seeds:
        if time.monotonic() >= until_s:
            break
        name, content = mutated(files, seed)
        path = folder / name
        path.write_bytes(content)
        print(seed, file=sys.stderr, flush=True)  # the last one, if this process dies of it
        # Of this process: on a machine that does other things as well a second may last five. What
        # hangs is ended by the runner.
        began_s = time.process_time()
        try:
            outcome = read_one(path)
        except Exception as error:  # noqa: BLE001 - that is what is looked for
            outcome = type(error).__name__
        took_s = time.process_time() - began_s
        slowest_s = max(slowest_s, took_s)
        outcomes[outcome] += 1
        grown_mb = peak_memory_mb() - before_mb
        if outcome not in {"decoded", "damaged", "refused"} or took_s > MAX_FILE_S:
            faults.append(f"seed {seed}, {name}: {outcome} after {took_s:.1f} s")
        if grown_mb > MAX_GROWTH_MB:
            faults.append(f"seed {seed}, {name}: memory grew by {grown_mb:.0f} MB")
            before_mb += grown_mb
    return {
        "files": sum(outcomes.values()),
        "outcomes": dict(outcomes),
        "slowest_s": round(slowest_s, 2),
        "grown_mb": round(peak_memory_mb() - before_mb, 1),
        "faults": faults,
    }


def _no_log(*_: object) -> Any:  # noqa: ANN401
    raise structlog.DropEvent


def campaign(seconds: float, first_seed: int, num_files: int) -> dict[str, Any]:
    """Reads mutated files in a process of its own.

    Returns:
        Figures; ``faults`` is empty where all is well.
    """
    command = (
        sys.executable,
        "-m",
        "tests.campaign.audio_files",
        "--seconds",
        str(seconds),
    )
    finished = subprocess.run(
        [*command, "--seed", str(first_seed), "--files", str(num_files)],
        capture_output=True,
        text=True,
        timeout=seconds + 120,
        check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    if finished.returncode != 0:
        last = finished.stderr.splitlines()[-1:]
        return {"faults": [f"the reader died with {finished.returncode}; last seed: {last}"]}
    figures: dict[str, Any] = json.loads(finished.stdout)
    return figures


def decode_mutated(seconds: float, seed: int) -> dict[str, Figure]:
    """As ``CAMPAIGNS`` has it.

    Raises:
        ViolationError: A file was neither decoded nor refused by name, or not within bounds.
    """
    figures = campaign(seconds, seed * 1_000_000, 1_000_000)
    if figures["faults"]:
        raise ViolationError("; ".join(figures["faults"]))
    return {
        "files": figures["files"],
        **figures["outcomes"],
        "slowest_s": figures["slowest_s"],
        "grown_mb": figures["grown_mb"],
    }


CAMPAIGNS: Final[Mapping[str, Campaign]] = {"audio files: mutated": decode_mutated}


def main() -> int:
    """Reads in this process, for ``campaign``."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--files", type=int, required=True)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        seeds = iter(range(asked.seed, asked.seed + asked.files))
        figures = read_many(Path(folder), seeds, time.monotonic() + asked.seconds)
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
