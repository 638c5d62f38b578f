"""What a run learns from, read or made: speech, noise, rooms.

In: two manifests and a folder. Out: a mixer, on the device. Speech is decoded once and kept in the
run's folder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from voiceguard.audio.files import load_audio
from voiceguard.errors import StateError
from voiceguard.lab.corpora.clips import seeded
from voiceguard.lab.corpora.corpus import read_noise
from voiceguard.lab.training.corruption.recordings import Recordings
from voiceguard.lab.training.corruption.rooms import (
    load_noises,
    load_rooms,
    simulate_rooms,
    within_full_scale,
)
from voiceguard.lab.training.inputs import corruption_key, passages_key
from voiceguard.lab.training.overlap.mixing import Mixer
from voiceguard.lab.training.overlap.surroundings import Surroundings
from voiceguard.lab.training.speech.circles import Circles
from voiceguard.lab.training.speech.material import gather, store_material, stored_material
from voiceguard.types import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from voiceguard.lab.training.inputs import Inputs
    from voiceguard.lab.training.speech.material import Material

NUM_ROOMS, HALL_SHARE, NUM_MEASURED = 1200, 0.5, 4
"""Simulated rooms, the share of halls, and how often each measured one stands among them."""
MAX_SPEAKER_S = 300.0
WINDOWS_PER_S, MIN_WINDOWS = 0.35, 32
"""Of a batch: how many voices it is mixed from."""
TALK = ("babble_synth", "tv_like")
"""How the names of such noise begin."""


def sources_key(inputs: Inputs, num_rooms: int) -> dict[str, str | int]:
    """Names all that a run learns from."""
    return {
        "num_rooms": num_rooms,
        "speech": _passages_key(inputs),
        "corruption": corruption_key(inputs),
    }


def made_mixer(
    inputs: Inputs,
    batch_s: float,
    device: torch.device,
    report: Callable[[str], None],
    *,
    num_rooms: int = NUM_ROOMS,
) -> tuple[Mixer, str]:
    """Everything that is heard, and what to say of it.

    Args:
        inputs: Corpus, noise and rooms; the run's folder.
        batch_s: How much audio a batch will have.
        device: Where it is mixed.
        report: Is told what takes long.
        num_rooms: To simulate.

    Raises:
        UsageError: There is too little of something.
        StateError: Speech cannot be kept.
    """
    surroundings = _surroundings(inputs, num_rooms, device, report)  # speech takes longest
    material = _material(inputs, report)
    labels = [passage.speaker for passage in material.passages]
    circles = Circles(material.passages, labels, device)
    hours = float(circles.sizes.sum()) / SAMPLE_RATE_HZ / 3600
    corpora = ", ".join(count.corpus for count in material.counts)
    about = (
        f"mixtures without end of {hours:.1f} h of speech of {len(circles.names)} labels "
        f"({corpora}), in simulated and measured rooms and recorded noise"
    )
    num_windows = max(MIN_WINDOWS, round(WINDOWS_PER_S * batch_s))
    return Mixer(circles, surroundings, num_windows), about


def _passages_key(inputs: Inputs) -> str:
    return passages_key(inputs.corpus, max_speaker_s=MAX_SPEAKER_S, seed=0)


def _material(inputs: Inputs, report: Callable[[str], None]) -> Material:
    """Decoded before or now."""
    key = _passages_key(inputs)
    material = stored_material(inputs.out, key)
    if material is None:
        report("reading speech")
        material = gather(inputs.corpus, max_speaker_s=MAX_SPEAKER_S)
        try:
            store_material(material, inputs.out, key)
        except OSError as error:
            raise StateError(
                f"speech cannot be kept in {inputs.out}: {error.strerror}",
                hint="Make room, or name another --out.",
            ) from error
    return material


def _surroundings(
    inputs: Inputs, num_rooms: int, device: torch.device, report: Callable[[str], None]
) -> Surroundings:
    assert inputs.noise is not None
    assert inputs.rooms is not None
    noises, music, _ = load_noises(inputs.noise, split=inputs.split)
    recorded = [Recordings(each, device) for each in (noises, music) if each]
    measured, _ = load_rooms(inputs.rooms, split=inputs.split)
    report("simulating rooms")
    simulated = simulate_rooms(num_rooms, seeded(0, "rooms"), hall_share=HALL_SHARE)
    responses = torch.cat([simulated, *NUM_MEASURED * [measured]]).to(device)
    return Surroundings(recorded, responses, recorded_talk(inputs.noise, inputs.split, device))


def recorded_talk(noise: Path, split: str | None, device: torch.device) -> Recordings | None:
    """What has words in it, by its name."""
    named = [path for path in read_noise(noise, split=split) if path.name.startswith(TALK)]
    if not named:
        return None
    heard = [torch.from_numpy(within_full_scale(load_audio(path))) for path in named]
    return Recordings(heard, device)
