"""Teaches and writes the network that hears several voices at once.

::

    python -m voiceguard.lab.training.overlap SPEECH NOISE ROOMS --split train --out FILE
    python -m tests.benchmarks.overlap SPEECH NOISE ROOMS --split eval --weights FILE
    python -m voiceguard.lab.training.overlap --threshold 3.1 --out FILE

The second prints the threshold of 1 % false alarms, which the third writes into the file. The
shipped weights came of this network and an earlier form of these mixtures, in other numbers of
steps: docs/train.md says which.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import torch

from voiceguard.audio.files import load_audio
from voiceguard.encoder.overlap.spectrogram import Shape
from voiceguard.errors import UsageError, VoiceguardError
from voiceguard.lab.corpora.clips import seeded
from voiceguard.lab.corpora.corpus import read_corpus, read_noise
from voiceguard.lab.training.corruption.recordings import Recordings
from voiceguard.lab.training.corruption.rooms import load_noises, load_rooms, simulate_rooms
from voiceguard.lab.training.overlap.learning import Learner, Recipe
from voiceguard.lab.training.overlap.mixing import Mixer
from voiceguard.lab.training.overlap.surroundings import Surroundings
from voiceguard.lab.training.overlap.weights import set_threshold, write_weights
from voiceguard.lab.training.speech.circles import Circles
from voiceguard.lab.training.speech.material import gather

NUM_ROOMS, HALL_SHARE, NUM_MEASURED = 1200, 0.5, 4
"""Simulated rooms; and how often each measured one stands among them."""
NUM_WINDOWS, MAX_SPEAKER_S = 224, 300.0
REPORT_EVERY = 50
TALK = ("babble_synth", "tv_like")
"""How the names of such noise begin."""


def main() -> int:
    """Teaches, or writes a threshold."""
    parser = argparse.ArgumentParser(prog="python -m voiceguard.lab.training.overlap")
    for name in ("speech", "noise", "rooms"):
        parser.add_argument(name, type=Path, nargs="?")
    parser.add_argument("--split", default="train", help="of speech, noise and rooms")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--steps", type=int, default=Recipe().num_steps)
    parser.add_argument("--batch-s", type=float, default=Recipe().batch_s)
    parser.add_argument("--threshold", type=float, help="write this into --out, and no more")
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    if asked.threshold is None and None in {asked.speech, asked.noise, asked.rooms}:
        parser.error("speech, noise and rooms are needed to learn from")
    try:
        if asked.threshold is not None:
            report(f"sha256 {set_threshold(asked.out, asked.threshold)}")
        else:
            teach(asked)
    except VoiceguardError as error:
        sys.stderr.write(f"error: {error}\nhint: {error.hint}\n")
        return int(error.exit_code)
    return 0


def teach(asked: argparse.Namespace) -> None:
    """All steps, and the weights into ``--out``.

    Raises:
        VoiceguardError: Something is missing; there is nowhere to write to.
    """
    if not asked.out.parent.is_dir():
        raise UsageError(f"no folder {asked.out.parent} for --out", hint="Make it first.")
    recipe = replace(Recipe(), num_steps=asked.steps, batch_s=asked.batch_s)
    device = torch.device(asked.device)
    mixer, about = made_mixer(asked.speech, asked.noise, asked.rooms, asked.split, device)
    learner = Learner(Shape(), recipe, mixer, device)
    for number in range(recipe.num_steps):
        loss = learner.step(number)
        if number % REPORT_EVERY == 0:
            report(f"step {number}: loss {loss:.3f}")
    sha256 = write_weights(
        asked.out, learner.average, threshold=0.0, licence="Apache-2.0", trained_on=about
    )
    report(f"sha256 {sha256}")


def report(line: str) -> None:
    """To whoever waits."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def made_mixer(
    speech: Path, noise: Path, rooms: Path, split: str, device: torch.device
) -> tuple[Mixer, str]:
    """Everything that is heard, and what to say of it.

    Raises:
        UsageError: Something is missing.
    """
    material = gather(read_corpus(speech, split=split), max_speaker_s=MAX_SPEAKER_S)
    labels = [passage.speaker for passage in material.passages]
    circles = Circles(material.passages, labels, device)
    noises, music, _ = load_noises(noise, split=split)
    recorded = [Recordings(each, device) for each in (noises, music) if each]
    measured, _ = load_rooms(rooms, split=split)
    simulated = simulate_rooms(NUM_ROOMS, seeded(0, "rooms"), hall_share=HALL_SHARE)
    responses = torch.cat([simulated, *NUM_MEASURED * [measured]]).to(device)
    hours = float(circles.sizes.sum()) / 16_000 / 3600
    about = f"mixtures of {hours:.1f} h of speech of {len(circles.names)} labels"
    surroundings = Surroundings(recorded, responses, recorded_talk(noise, split, device))
    return Mixer(circles, surroundings, NUM_WINDOWS), about


def recorded_talk(noise: Path, split: str, device: torch.device) -> Recordings | None:
    """What has words in it, by its name."""
    named = [path for path in read_noise(noise, split=split) if path.name.startswith(TALK)]
    if not named:
        return None
    return Recordings([torch.from_numpy(load_audio(path)) for path in named], device)


if __name__ == "__main__":
    sys.exit(main())
