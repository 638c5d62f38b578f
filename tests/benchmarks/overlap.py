"""Whether several people speak at once: what the shipped network hears of it, and what that costs.

Run by hand: ``python -m tests.benchmarks.overlap SPEECH NOISE ROOMS``, two manifests and a folder.
From each speaker's longest utterances, net speech of 2 to 4 s, through gate, detector and encoder
as `voiceguard verify` sends them:

- one voice, as it is, in noise, in a room, over the telephone, before babble and a television
- the same with another speaker of the corpus over 50 to 100 % of it, at -5 to +5 dB

Printed: the share of overlaps that is told where 1 % of single voices are called overlap, a
threshold chosen on one half of the speakers and judged on the other, and the other way round; the
same at the shipped threshold; what becomes of an owner's accepts, alone and with somebody talking
over them, each owner being enrolled from three utterances; and processor time beside the encoder's.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from voiceguard.encoder.overlap.detector import MIN_S, NetworkDetector
from voiceguard.encoder.overlap.weights import PATH, read_weights
from voiceguard.lab.corpora.clips import Clip, Speech, seeded, speech_rms
from voiceguard.lab.corpora.conditions import Clean, Noisy, Reverberant, Telephone
from voiceguard.lab.corpora.corpus import Corpus, Recording, read_corpus, read_noise
from voiceguard.lab.evaluation.utterances import each_speaker
from voiceguard.service.kit import assemble
from voiceguard.service.utterance import examine
from voiceguard.settings import load_settings
from voiceguard.types import SAMPLE_RATE_HZ, Outcome, Template, Voiceprint

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from voiceguard.lab.corpora.conditions import Condition
    from voiceguard.pipeline.judge import Judge
    from voiceguard.service.kit import Kit
    from voiceguard.types import Samples

LENGTHS_S = (2.0, 4.0)
SHARES = (0.5, 1.0)
LEVELS_DB = (-5.0, 5.0)
QUIET_SAMPLES = 3200
MAX_RECORDINGS, MAX_UTTERANCES = 14, 6
NUM_TAKES = 3
FALSE_ALARMS = 0.01
OF_PEOPLE = ("clean", "10 dB", "reverberant", "telephone")
"""Single voices without anybody in the background."""
TIMED_S, NUM_TIMED = 3.0, 40


@dataclass(frozen=True, slots=True)
class Trial:
    """One stretch of speech."""

    about: Recording
    condition: Condition
    level_db: float | None
    """Of the second voice against the first; None: there is none."""
    clip: Clip


@dataclass(frozen=True, slots=True)
class Heard:
    """What became of it."""

    condition: str
    half: str
    level_db: float | None
    score: float
    accepted: bool | None
    """Without a detector; None of who is not enrolled."""

    @property
    def is_overlap(self) -> bool:
        """Whether somebody talks over the speaker."""
        return self.level_db is not None


class Scores:
    """An ``OverlapDetector`` that finds nothing, and notes how near it was to it."""

    def __init__(self, detector: NetworkDetector) -> None:
        self._detector = detector
        self.highest = -np.inf

    def hears_two(self, samples: Samples) -> bool:
        """See ``OverlapDetector``."""
        if len(samples) >= MIN_S * SAMPLE_RATE_HZ:
            self.highest = max(self.highest, self._detector.score(samples))
        return False


def main() -> None:
    """Prints it all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("speech", "noise", "rooms"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--split", default="eval", help="of speech, noise and rooms")
    parser.add_argument("--speech-split", help="of speech, where that is another one")
    parser.add_argument("--speakers", type=int, help="at most, of each corpus")
    parser.add_argument("--weights", type=Path, default=PATH, help="other than the shipped ones")
    options = parser.parse_args()
    sha256 = hashlib.sha256(options.weights.read_bytes()).hexdigest()
    weights = read_weights(options.weights, sha256)
    detector = NetworkDetector(weights)
    kit = assemble(load_settings(None), overlap=False)
    corpus = read_corpus(options.speech, split=options.speech_split or options.split)
    spoken = utterances(kit, corpus, options.speakers)
    owners = enrolled(kit, spoken)
    conditions = made_conditions(options.noise, options.rooms, options.split)
    print(f"{len(spoken)} utterances, {len(owners)} owners enrolled", flush=True)
    heard = [measure(kit, detector, trial, owners) for trial in trials(spoken, conditions)]
    everybody = [condition.name for condition in conditions]
    for calm in (OF_PEOPLE, everybody):
        print_rates(heard, crossed(heard, calm), f"1 % over {', '.join(calm)}")
    halves = dict.fromkeys(("a", "b"), weights.threshold)
    print_rates(heard, halves, f"shipped threshold, {weights.threshold:.2f}")
    scores = [each.score for each in heard if not each.is_overlap]
    print(f"1 % of all single voices are above {np.quantile(scores, 1 - FALSE_ALARMS):.2f}")
    print_owners(heard, weights.threshold)
    print_cost(kit, detector, spoken)


def utterances(
    kit: Kit, corpus: Corpus, max_speakers: int | None
) -> list[tuple[Recording, Speech]]:
    """Each speaker's longest, of those that are long enough."""
    kept: list[Recording] = []
    of_corpus: dict[str, int] = {}
    for _, recordings in sorted(corpus.by_speaker().items()):
        name = recordings[0].corpus
        of_corpus[name] = of_corpus.get(name, 0) + 1
        if max_speakers is None or of_corpus[name] <= max_speakers:
            kept += recordings[:MAX_RECORDINGS]
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


def enrolled(
    kit: Kit, spoken: Sequence[tuple[Recording, Speech]]
) -> dict[str, tuple[Judge, set[Path]]]:
    """Of who has utterances to spare, a judge and what it knows the voice from."""
    by_speaker = defaultdict[str, list[tuple[Recording, Speech]]](list)
    for about, speech in spoken:
        by_speaker[about.speaker].append((about, speech))
    owners = {}
    for speaker, own in by_speaker.items():
        if len(own) <= NUM_TAKES:
            continue
        takes = own[:NUM_TAKES]
        judge = kit.make_judge([voiceprint(kit, [speech.samples for _, speech in takes])])
        owners[speaker] = (judge, {about.path for about, _ in takes})
    return owners


def voiceprint(kit: Kit, takes: Sequence[Samples]) -> Voiceprint:
    """Of whole utterances."""
    now = datetime.now(UTC)
    templates = tuple(
        Template(
            embedding=kit.encoder.embed(take),
            net_speech_s=len(take) / SAMPLE_RATE_HZ,
            snr_db=30.0,
            created_at=now,
        )
        for take in takes
    )
    return Voiceprint(
        speaker="owner",
        display_name="owner",
        encoder_id=kit.encoder.info.encoder_id,
        templates=templates,
        consent_at=now,
        created_at=now,
        updated_at=now,
    )


def made_conditions(noise: Path, rooms: Path, split: str) -> Sequence[Condition]:
    """What single voices and overlaps are heard in, and what speaks in the background."""
    files = [path for path in read_noise(noise, split=split) if path.parent.name == "noise"]
    babble = [path for path in files if "babble" in path.name]
    television = [path for path in files if "tv_like" in path.name]
    wordless = [path for path in files if path not in {*babble, *television}]
    with_words = {"babble, 10 dB": babble, "television, 10 dB": television}
    return (
        Clean(),
        Noisy(10.0, wordless),
        Reverberant(read_noise(rooms, split=split)),
        Telephone(),
        *(Noisy(10.0, found, name=name) for name, found in with_words.items() if found),
    )


def trials(
    spoken: Sequence[tuple[Recording, Speech]], conditions: Sequence[Condition]
) -> Iterator[Trial]:
    """Every utterance alone in every condition; with another speaker where nobody else talks."""
    for about, speech in spoken:
        rng = seeded(3, about.corpus, about.path.name)
        length_s = min(rng.uniform(*LENGTHS_S), speech.net_s)
        start_s = rng.uniform(0, max(0.0, speech.net_s - length_s))
        own = speech.between(start_s, min(start_s + length_s, speech.net_s))
        others = [each for who, each in spoken if _is_stranger(who, about)]
        level_db = float(rng.uniform(*LEVELS_DB))
        both = mixed(own, others[int(rng.integers(len(others)))], level_db, rng)
        for samples, level in ((own.samples, None), (both, level_db)):
            for condition in conditions[: None if level is None else len(OF_PEOPLE)]:
                tone = own.quiet_rms * rng.standard_normal((2, QUIET_SAMPLES))
                before, after = tone.astype(np.float32)
                clip = Clip(np.concatenate([before, samples, after]), 0.0, 0.0)
                heard = condition.hear(clip, speech_rms(own), rng)
                yield Trial(about, condition, level, heard)


def _is_stranger(who: Recording, about: Recording) -> bool:
    return who.corpus == about.corpus and who.speaker != about.speaker


def mixed(own: Speech, other: Speech, level_db: float, rng: np.random.Generator) -> Samples:
    """Somebody talks over a part of it."""
    num = int(rng.uniform(*SHARES) * len(own.samples))
    gain = speech_rms(own) / speech_rms(other) * 10 ** (level_db / 20)
    start = int(rng.integers(max(1, len(other.samples) - num)))
    over = np.resize(other.samples[start : start + num], num)
    at = int(rng.integers(len(own.samples) - num + 1))
    samples = own.samples.copy()
    samples[at : at + num] += np.float32(gain) * over
    return samples


def measure(
    kit: Kit, detector: NetworkDetector, trial: Trial, owners: dict[str, tuple[Judge, set[Path]]]
) -> Heard:
    """Sends one stretch through gate, detector and encoder."""
    scores = Scores(detector)
    found = examine(replace(kit, overlap=scores), np.ascontiguousarray(trial.clip.samples))
    judge, takes = owners.get(trial.about.speaker, (None, set[Path]()))
    accepted = None
    if judge is not None and trial.about.path not in takes:
        accepted = judge.judge(found.embedding, found.evidence).outcome is Outcome.ACCEPTED
    name = trial.condition.name
    return Heard(name, trial.about.half, trial.level_db, scores.highest, accepted)


def crossed(heard: Sequence[Heard], calm: Sequence[str]) -> dict[str, float]:
    """Thresholds by half, each chosen on the other half's single voices in these conditions."""
    return {
        half: float(
            np.quantile(
                [
                    each.score
                    for each in heard
                    if not each.is_overlap and each.condition in calm and each.half != half
                ],
                1 - FALSE_ALARMS,
            )
        )
        for half in ("a", "b")
    }


def print_rates(heard: Sequence[Heard], threshold: dict[str, float], title: str) -> None:
    """False alarms and overlaps told, by condition and by level difference."""
    print(f"\n{title}:")
    for is_overlap in (False, True):
        rows = [each for each in heard if each.is_overlap is is_overlap]
        found = defaultdict[str, list[bool]](list)
        for each in rows:
            told = each.score > threshold[each.half]
            found[each.condition].append(told)
            found["all"].append(told)
            if each.level_db is not None and each.condition == "clean":
                low = int(abs(each.level_db))
                found[f"clean, {low} to {low + 1} dB"].append(told)
        rates = ", ".join(
            f"{name} {100 * np.mean(told):.1f} % of {len(told)}"
            for name, told in sorted(found.items())
        )
        print(f"  {'overlaps told' if is_overlap else 'false alarms'}: {rates}")


def print_owners(heard: Sequence[Heard], threshold: float) -> None:
    """What the detector changes about accepts."""
    print("\naccepts without the detector, and how many of them it forbids:")
    found = defaultdict[str, list[Heard]](list)
    for each in heard:
        if each.accepted is not None:
            whose = "talked over" if each.is_overlap else "alone"
            found[f"owner {whose}, {each.condition}"].append(each)
    for name, tries in found.items():
        accepts = [each for each in tries if each.accepted]
        lost = sum(each.score > threshold for each in accepts)
        print(f"  {name}: {len(accepts)} of {len(tries)}, {lost} forbidden")


def print_cost(
    kit: Kit, detector: NetworkDetector, spoken: Sequence[tuple[Recording, Speech]]
) -> None:
    """Milliseconds of one core for 3 s."""
    piece = np.resize(spoken[0][1].samples, round(TIMED_S * SAMPLE_RATE_HZ))
    model = kit.settings.encoder.model
    for name, function in (("detector", detector.score), (f"encoder {model}", kit.encoder.embed)):
        function(piece)
        began_s = time.process_time()
        for _ in range(NUM_TIMED):
            function(piece)
        cost_ms = 1000 * (time.process_time() - began_s) / NUM_TIMED
        print(f"{name}: {cost_ms:.1f} ms of processor time for {TIMED_S:g} s")


if __name__ == "__main__":
    main()
