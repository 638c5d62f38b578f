"""Teaches and writes the network that hears several voices at once.

::

    python -m voiceguard.lab.training.overlap SPEECH NOISE ROOMS --split train --out FILE
    python -m tests.benchmarks.overlap SPEECH NOISE ROOMS --split eval --weights FILE
    python -m voiceguard.lab.training.overlap --threshold 3.1 --out FILE

The first may be stopped at any moment, and goes on with the same command; FILE holds the weights so
far. The second prints the threshold of 1 % false alarms, which the third writes into it. Which
weights the shipped ones were begun with, and in how many steps: docs/train.md.
"""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import asdict, replace
from pathlib import Path

import torch

from voiceguard.encoder.overlap.spectrogram import Shape
from voiceguard.errors import InterruptedRunError, StateError, UsageError, VoiceguardError
from voiceguard.lab.corpora.corpus import read_corpus
from voiceguard.lab.stopping import stopped_by_signal
from voiceguard.lab.training.inputs import Inputs
from voiceguard.lab.training.overlap.course import Course, Told
from voiceguard.lab.training.overlap.initial import read_initial
from voiceguard.lab.training.overlap.learning import Learner, Recipe
from voiceguard.lab.training.overlap.sources import NUM_ROOMS, made_mixer, sources_key
from voiceguard.lab.training.overlap.weights import set_threshold, write_weights


def main() -> int:
    """Teaches, or writes a threshold."""
    parser = made_parser()
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


def made_parser() -> argparse.ArgumentParser:
    """What it is told."""
    parser = argparse.ArgumentParser(
        prog="python -m voiceguard.lab.training.overlap",
        description="Teach what hears two voices at once; stopped, the same command goes on.",
    )
    parser.add_argument("speech", type=Path, nargs="?", help="a folder or a manifest of speech")
    parser.add_argument("noise", type=Path, nargs="?", help="likewise, music and talk in it")
    parser.add_argument("rooms", type=Path, nargs="?", help="a folder of measured responses")
    parser.add_argument("--split", default="train", help="of all three (%(default)s)")
    parser.add_argument(
        "--device",
        default="cuda" if torch.cuda.is_available() else "cpu",
        help="to learn on (%(default)s)",
    )
    parser.add_argument("--init", type=Path, help="begin with these weights, as this writes them")
    default = Recipe()
    parser.add_argument(
        "--learning-rate",
        type=positive,
        default=default.learning_rate,
        help="at its highest (%(default)s)",
    )
    parser.add_argument(
        "--steps", type=whole, default=default.num_steps, help="in all (%(default)s)"
    )
    parser.add_argument(
        "--batch-s", type=positive, default=default.batch_s, help="of audio in each (%(default)s)"
    )
    parser.add_argument(
        "--simulated-rooms", type=whole, default=NUM_ROOMS, metavar="N", help="(%(default)s)"
    )
    parser.add_argument("--threshold", type=float, help="write this into --out, and no more")
    parser.add_argument("--out", type=Path, required=True, help="the weights")
    return parser


def teach(asked: argparse.Namespace) -> None:
    """All steps that are left, and the weights into ``--out``.

    Raises:
        VoiceguardError: Something is missing; there is nowhere to write to; it was stopped.
    """
    if not asked.out.parent.is_dir():
        raise UsageError(f"no folder {asked.out.parent} for --out", hint="Make it first.")
    recipe = replace(
        Recipe(), num_steps=asked.steps, batch_s=asked.batch_s, learning_rate=asked.learning_rate
    )
    weights, initial = (None, None) if asked.init is None else read_initial(asked.init)
    if initial is not None:
        # What is drawn is not what those weights were taught by.
        recipe = replace(recipe, seed=int(initial[:8], 16))
    inputs = made_inputs(asked)
    run = {
        "recipe": asdict(recipe),
        "initial": initial,
        **sources_key(inputs, asked.simulated_rooms),
    }
    device = torch.device(asked.device)
    mixer, about = made_mixer(
        inputs, recipe.batch_s, device, report, num_rooms=asked.simulated_rooms
    )
    learner = Learner(Shape() if weights is None else weights.shape, recipe, mixer, device)
    if weights is not None:
        learner.begin_with(weights)
        about += f"; begun with weights {str(initial)[:12]}"
    sha256 = ""

    def keep() -> None:
        nonlocal sha256
        sha256 = write_weights(
            asked.out, learner.average, threshold=0.0, licence="Apache-2.0", trained_on=about
        )

    course = Course(learner, inputs.out, run)
    with stopped_by_signal() as is_stopped:  # before it says that it begins
        report("begins" if learner.number == 0 else f"goes on at step {learner.number}")
        told = Told(is_stopped=is_stopped, on_report=report, on_saved=keep)
        if not course.follow(told):
            raise InterruptedRunError(
                f"stopped at step {learner.number}", hint="the same command goes on from there"
            )
    report(f"sha256 {sha256}")


def positive(text: str) -> float:
    """A number of the command line above 0."""
    if not 0 < (value := float(text)) < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def whole(text: str) -> int:
    """A whole number of the command line above 0."""
    if (value := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def report(line: str) -> None:
    """To whoever waits."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def made_inputs(asked: argparse.Namespace) -> Inputs:
    """What there is to learn from, and the run's folder.

    Raises:
        UsageError: There is no speech.
        StateError: The folder cannot be made.
    """
    return Inputs(
        corpus=read_corpus(asked.speech, split=asked.split),
        out=made_folder(asked.out),
        noise=asked.noise,
        rooms=asked.rooms,
        split=asked.split,
    )


def made_folder(out: Path) -> Path:
    """Where a run keeps what it needs to go on: beside the weights, by their name.

    Raises:
        StateError: It cannot be made.
    """
    folder = out.with_suffix(".run")
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise StateError(
            f"folder {folder} cannot be made: {error.strerror}", hint="Name another --out."
        ) from error
    return folder


if __name__ == "__main__":
    sys.exit(main())
