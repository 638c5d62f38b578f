"""Synthetic speakers to learn from: ``python -m voiceguard.lab.training.speech.synthetic OUT``.

In: the programs espeak-ng and flite, whichever are there. Out: a folder per voice, which
``voiceguard train REAL OUT`` takes beside real speakers. A synthesiser's voice has no microphone
and no room; those come with the corruption of the crops. Nothing of it is shipped: espeak-ng
copies its recorded consonants, which are under the GPL, into what it speaks.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from voiceguard.errors import UsageError

TEXTS = (
    "The old lighthouse keeper counted nineteen ships before the fog came in from the sea.",
    "Would you rather walk along the river, or shall we take the bus at a quarter past four?",
    "My cousin bought five yellow chairs, a huge wooden table and something for the kitchen.",
    "Nobody knew why the music stopped, but everyone agreed that it had been far too loud.",
    "Please put the blue jacket over there, and measure both of the windows again tomorrow.",
    "In spring the children plant beans, onions and cherry tomatoes beside the garage wall.",
)
TEXTS_PER_VOICE = 2
"""About 10 s of speech."""
LANGUAGES = (
    *("en-us", "en-gb", "en-gb-scotland", "en-029", "de", "fr-fr", "es", "it", "pt", "nl"),
    *("pl", "sv", "ru", "tr", "fi", "hu", "cs", "el"),
)
"""espeak-ng reads English with their sounds: accents."""
FLITE_VOICES = ("awb", "kal16", "rms", "slt")


@dataclass(frozen=True, slots=True)
class Voice:
    """A way to have a sentence spoken."""

    name: str
    command: tuple[str, ...]
    """Without the text and the output file."""

    def speak(self, text: str, path: Path) -> None:
        """Writes a WAV file.

        Raises:
            UsageError: The program fails.
        """
        is_flite = self.command[0] == "flite"
        ends = ("-o", str(path), "-t", text) if is_flite else ("-w", str(path), text)
        ended = subprocess.run(  # noqa: S603 - fixed programs, our own texts
            [*self.command, *ends], capture_output=True, check=False, text=True
        )
        if ended.returncode or not path.is_file():
            raise UsageError(f"{' '.join(self.command)} failed: {ended.stderr.strip()}")


def make_voices(num_voices: int, seed: int) -> list[Voice]:
    """Voices with parameters drawn at random, all different.

    Raises:
        UsageError: Neither program is installed.
    """
    rng = np.random.default_rng(seed)
    voices: list[Voice] = []
    if shutil.which("flite"):
        voices += [_flite(name, rng) for name in FLITE_VOICES]
    if shutil.which("espeak-ng"):
        variants = espeak_variants()
        voices += [_espeak(number, variants, rng) for number in range(num_voices - len(voices))]
    if not voices:
        raise UsageError(
            "there is no synthesiser: neither espeak-ng nor flite is installed",
            hint="apt install espeak-ng flite",
        )
    return voices[:num_voices]


def espeak_variants() -> list[str]:
    """What espeak-ng calls its voices' variants: sizes and manners of a vocal tract."""
    listed = subprocess.run(  # nosec B607
        ["espeak-ng", "--voices=variant"],  # noqa: S607 - from the path, like every tool
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    files = (line.split()[4] for line in listed.splitlines()[1:])
    return sorted(file.removeprefix("!v/") for file in files)


def _flite(name: str, rng: np.random.Generator) -> Voice:
    stretch = rng.uniform(0.9, 1.15)
    settings = ("-voice", name, "--setf", f"duration_stretch={stretch:.2f}")
    return Voice(f"flite-{name}", ("flite", *settings))


def _espeak(number: int, variants: list[str], rng: np.random.Generator) -> Voice:
    variant = variants[int(rng.integers(len(variants)))]
    language = LANGUAGES[int(rng.integers(len(LANGUAGES)))]
    pitch, speed = int(rng.integers(15, 85)), int(rng.integers(125, 195))
    return Voice(
        f"espeak-{number:04d}",
        ("espeak-ng", "-v", f"{language}+{variant}", "-p", str(pitch), "-s", str(speed)),
    )


def write_voices(folder: Path, num_voices: int, seed: int) -> int:
    """Has every voice speak into a folder of its own; what is there already stays.

    Returns:
        How many voices there are.
    """
    rng = np.random.default_rng(seed)
    voices = make_voices(num_voices, seed)
    for voice in voices:
        chosen = rng.choice(len(TEXTS), TEXTS_PER_VOICE, replace=False)
        (folder / voice.name).mkdir(parents=True, exist_ok=True)
        for number in chosen:
            path = folder / voice.name / f"{number}.wav"
            if not path.exists():
                voice.speak(TEXTS[number], path)
    return len(voices)


def main() -> int:
    """Of ``python -m voiceguard.lab.training.speech.synthetic``."""
    parser = argparse.ArgumentParser(description="Writes a folder per synthetic voice.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--voices", type=int, default=200, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    try:
        num_voices = write_voices(options.out, options.voices, options.seed)
    except UsageError as error:
        sys.stderr.write(f"error: {error}\nhint: {error.hint}\n")
        return int(error.exit_code)
    sys.stdout.write(f"{num_voices} voices in {options.out}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
