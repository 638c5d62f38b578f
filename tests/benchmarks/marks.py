"""What marks of right and wrong bring their speakers, and what lies among them do to strangers.

::

    python -m tests.benchmarks.marks /work/shared/speech/manifest.csv --noise /work/shared/noise

Speakers are enrolled from three utterances, as ``evaluate`` does, and everybody's others are heard
by the daemon's path. Whoever speaks on other occasions too, an owner, is heard clean and in noise,
whole utterances and 2 and 3 s of them; gets marks for half of the utterances of those occasions,
and is then tested with the other half; and the other way round. Lies take the place of half of the
marks: other people's words said to be theirs, drawn at random or all of whoever sounds most like
them; or their accepted words said not to be. ``floor`` is what no mark can do: every threshold
as low as it may be. One JSON line per row; accepts before the end of
the speech count. The calibration is the one in force; ``--split eval`` is what it was fitted to.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tests.scoring.marked import make_mark
from voiceguard.cli.measuring.corpora import measuring_kit, show_progress
from voiceguard.lab.corpora.clips import seeded
from voiceguard.lab.corpora.conditions import CLEAN, Clean
from voiceguard.lab.corpora.corpus import read_corpus
from voiceguard.lab.evaluation.daemon.experiment import Listener, in_the_clip
from voiceguard.lab.evaluation.daemon.playback import hear
from voiceguard.lab.evaluation.material import conditions_to_fit
from voiceguard.lab.evaluation.pieces import pieces_of
from voiceguard.lab.evaluation.plan import FULL, Plan
from voiceguard.lab.evaluation.utterances import each_speaker, left_to_test, takes_of
from voiceguard.lab.fitting.rates import speaker_rate
from voiceguard.scoring.adaptation import Adaptation, Moved, Standing
from voiceguard.types import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from voiceguard.lab.corpora.corpus import Recording
    from voiceguard.lab.evaluation.daemon.experiment import Enrolled
    from voiceguard.lab.evaluation.daemon.playback import HeardSegment
    from voiceguard.lab.evaluation.utterances import SpokenSessions
    from voiceguard.pipeline.judge import Judge
    from voiceguard.scoring.adaptation import Mark
    from voiceguard.service.kit import Kit
    from voiceguard.types import SpeakerScore

MARKS_PER_DAY = 2
TRUE, STRANGERS, NEAREST, LOCK_OUT = (
    "true",
    "half lies: strangers' words theirs",
    "half lies: the nearest stranger's words theirs",
    "half lies: their accepted words not theirs",
)
FLOOR = "floor: everybody's threshold"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Word:
    """A stretch of speech as the daemon heard it."""

    about: Recording
    utterance: int
    """Which of its session; its pieces stay on one side."""
    noise: str
    heard: HeardSegment


class Everybody:
    """Voiceprints and words of a corpus, scored once."""

    def __init__(self, kit: Kit, enrolled: Sequence[Enrolled], words: Sequence[Word]) -> None:
        self.judge = kit.make_judge([each.voiceprint for each in enrolled])
        self.enrolled = {each.about.speaker: each for each in enrolled}
        self.words = words
        self._scores = [
            [
                {one.speaker: one for one in self.judge.score(note.embedding, note.evidence)}
                for note in (*word.heard.looks, word.heard.final)
            ]
            for word in words
        ]

    def final(self, number: int, speaker: str) -> SpeakerScore | None:
        """A word's final score against a voiceprint; None: too short for one."""
        return self._scores[number][-1].get(speaker)

    def is_accepted(self, judge: Judge, number: int, speaker: str) -> bool:
        """Whether a word is, before the end or at it, where nobody else is enrolled."""
        heard = self.words[number].heard
        for note, scores in zip((*heard.looks, heard.final), self._scores[number], strict=True):
            own = (scores[speaker],) if speaker in scores else ()
            if judge.decide(own, note.evidence).outcome is Outcome.ACCEPTED:
                return True
        return False

    def of(self, speaker: str, *, is_other_session: bool, side: int | None = None) -> list[int]:
        """Words of a speaker; of one half of the utterances."""
        session = self.enrolled[speaker].about.session
        return [
            number
            for number, word in enumerate(self.words)
            if word.about.speaker == speaker
            and (word.about.session != session) == is_other_session
            and side in (None, word.utterance % 2)
        ]


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.marks")
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--split", default="eval")
    parser.add_argument("--model")
    parser.add_argument("--state-dir", type=Path)
    parser.add_argument("--noise", type=Path, help="words are heard in it as well")
    parser.add_argument("--num-marks", type=int, default=20)
    asked = parser.parse_args()
    fitted = conditions_to_fit(asked.noise, None) if asked.noise else ()
    plan = Plan(lengths_s=(2.0, 3.0), max_places=1, conditions=(Clean(), *fitted))
    with measuring_kit(None, asked.model, "cpu", state_dir=asked.state_dir) as kit:
        info = kit.encoder.info
        if kit.calibration is None or not kit.calibration.counted_tails:
            parser.error(f"the calibration of {info.name} has no counted_tails: calibrate anew")
        told = {
            "encoder": info.name,
            "encoder_id": info.encoder_id,
            "calibration_id": kit.calibration.calibration_id,
        }
        corpora = [
            Everybody(kit, enrolled, words)
            for enrolled, words in heard(kit, plan, asked.manifest, asked.split)
        ]
    rows = [None, TRUE, STRANGERS, NEAREST, LOCK_OUT, FLOOR]
    for row in rows:
        for line in measured(corpora, row, asked.num_marks):
            print(json.dumps({**told, **line}), flush=True)


def heard(
    kit: Kit, plan: Plan, manifest: Path, split: str
) -> Iterator[tuple[list[Enrolled], list[Word]]]:
    """By corpus: who could be enrolled, and what everybody else was heard to say."""
    assert kit.calibration is not None
    change_cosine = kit.calibration.change_cosine
    listener = Listener(kit=kit, plan=plan, change_cosine=change_cosine)
    found: dict[str, tuple[list[Enrolled], list[Word]]] = {}
    corpus = read_corpus(manifest, split=split)
    for spoken in each_speaker(
        kit, corpus, seed=plan.seed, track=show_progress, description="listening"
    ):
        enrolled, words = found.setdefault(spoken.about.corpus, ([], []))
        takes = takes_of(spoken.sessions, plan.num_enroll)
        one = listener.enroll(takes) if takes else None
        if one is not None:
            enrolled.append(one)
        words += words_of(kit, plan, spoken, [] if one is None else takes)
    yield from found.values()


def words_of(kit: Kit, plan: Plan, spoken: SpokenSessions, takes: list) -> Iterator[Word]:  # type: ignore[type-arg]
    """Utterances that nobody was enrolled from, whole; the owners' in noise and cut short too."""
    assert kit.calibration is not None
    is_owner = len(spoken.sessions) > 1
    for session in left_to_test(spoken.sessions, takes):
        for number, utterance in enumerate(session):
            for piece in pieces_of([utterance], plan, as_recorded=True):
                if not is_owner and piece.length != FULL:
                    continue
                for condition in plan.heard_by_daemon[: None if is_owner else 1]:
                    clip = piece.heard(condition)
                    segments = hear(kit, clip.samples, change_cosine=kit.calibration.change_cosine)
                    for segment in in_the_clip(segments, clip, whole=piece.length == FULL):
                        yield Word(
                            about=utterance.recording,
                            utterance=number,
                            noise=condition.name,
                            heard=segment,
                        )


def measured(corpora: Sequence[Everybody], row: str | None, num_marks: int) -> Iterator[dict]:  # type: ignore[type-arg]
    """One row's figures: accepts of owners and of strangers, and where thresholds stand."""
    own, strangers, standings, counts = [], [], Counter[str](), []
    for everybody in corpora:
        for side in (0, 1):
            adaptations = adapted(everybody, row, num_marks, side)
            judge = replace(everybody.judge, adaptations=adaptations)
            counts += [len(each.marks) for each in adaptations.values() if each.marks]
            standings.update(standing_of(judge, each) for each in adaptations.values())
            for speaker in owners(everybody):
                for kind in (False, True):
                    for number in everybody.of(speaker, is_other_session=kind, side=1 - side):
                        is_in = everybody.is_accepted(judge, number, speaker)
                        own.append((everybody.words[number], speaker, kind, is_in))
                for number, word in enumerate(everybody.words):
                    if word.about.speaker != speaker:
                        is_in = everybody.is_accepted(judge, number, speaker)
                        strangers.append((word, speaker, is_in))
    shared = {"marks": row or "none", "marks_each": float(np.median(counts)) if counts else 0.0}
    yield {**shared, "thresholds": dict(standings)}
    for noise, who, trials in cells(own, strangers):
        yield {**shared, "noise": noise, "who": who, **figures(trials)}


def cells(
    own: Sequence[tuple[Word, str, bool, bool]], strangers: Sequence[tuple[Word, str, bool]]
) -> Iterator[tuple[str, str, list[tuple[str, str, bool]]]]:
    """By noise, and by who spoke: who did, whose voiceprint, and whether it was accepted."""
    corpora = sorted({word.about.corpus for word, *_ in strangers})
    for noise in sorted({word.noise for word, *_ in own}, key=lambda name: name != CLEAN):
        for is_other, who in ((False, "same session"), (True, "other session")):
            some = [each for each in own if (each[0].noise, each[2]) == (noise, is_other)]
            yield noise, who, [(word.about.speaker, of, is_in) for word, of, _, is_in in some]
        there = [each for each in strangers if each[0].noise == noise]
        for who, among in (("strangers", corpora), *((f"strangers, {n}", [n]) for n in corpora)):
            some_there = [each for each in there if each[0].about.corpus in among]
            yield noise, who, [(word.about.speaker, of, is_in) for word, of, is_in in some_there]


def figures(trials: Sequence[tuple[str, str, bool]]) -> dict[str, float | int | None]:
    """Of who spoke, whose voiceprint, and whether it was accepted."""
    if not trials:
        return {"trials": 0}
    tested, enrolled, events = zip(*trials, strict=True)
    rate = speaker_rate(np.array(events, dtype=float), np.ones(len(trials)), enrolled, tested)
    shown = {"accepted": rate.value, "low": rate.low, "high": rate.high, "upper": rate.upper}
    return {
        "trials": len(trials),
        **{name: None if value is None else round(100 * value, 2) for name, value in shown.items()},
    }


def standing_of(judge: Judge, adaptation: Adaptation) -> str:
    """Where a threshold stands at the end of speech, one person enrolled."""
    from voiceguard.scoring.policy import final_threshold  # noqa: PLC0415

    assert judge.calibration is not None
    return str(final_threshold(judge.policy, 1, judge.calibration, adaptation)[1].standing)


def owners(everybody: Everybody) -> list[str]:
    """Who was heard on another occasion than the one they were enrolled on."""
    return [name for name in everybody.enrolled if everybody.of(name, is_other_session=True)]


def adapted(
    everybody: Everybody, row: str | None, num_marks: int, side: int
) -> Mapping[str, Adaptation]:
    """Everybody's marks, from one half of their utterances."""
    if row is None:
        return {}
    return {
        speaker: AtTheFloor(())
        if row == FLOOR
        else Adaptation(tuple(marks_of(everybody, speaker, row, num_marks, side)))
        for speaker in owners(everybody)
    }


class AtTheFloor(Adaptation):
    """As low as a threshold may be."""

    def moved(self, anchor_llr: float, floor_llr: float | None) -> Moved:
        return Moved(
            anchor_llr if floor_llr is None else min(anchor_llr, floor_llr), Standing.LOWERED
        )


def marks_of(
    everybody: Everybody, speaker: str, row: str, num_marks: int, side: int
) -> Iterator[Mark]:
    """Of their own words as many as there are, at most so many; lies for half of them."""
    dice = seeded("marks", speaker, row, str(side))
    own = scored(everybody, speaker, everybody.of(speaker, is_other_session=True, side=side))
    dice.shuffle(own)
    num_lies = 0 if row == TRUE else num_marks // 2
    said = [(llr, True) for llr in own[: num_marks - num_lies]]
    lies = lies_of(everybody, speaker, row, dice)[: min(num_lies, max(len(said), 1))]
    said += [(llr, row != LOCK_OUT) for llr in lies]
    dice.shuffle(said)
    for number, (llr, is_theirs) in enumerate(said):
        yield make_mark(llr, is_theirs=is_theirs, day=number // MARKS_PER_DAY)


def lies_of(everybody: Everybody, speaker: str, row: str, dice: np.random.Generator) -> list[float]:
    """LLRs of words that are marked as what they are not, in the order of their use."""
    if row == LOCK_OUT:
        own = everybody.of(speaker, is_other_session=False)
        own += everybody.of(speaker, is_other_session=True)
        lies = [number for number in own if everybody.is_accepted(everybody.judge, number, speaker)]
    else:
        lies = [n for n, word in enumerate(everybody.words) if word.about.speaker != speaker]
    dice.shuffle(lies)
    if row == NEAREST:
        mean: dict[str, list[float]] = {}
        for number in lies:
            if (score := everybody.final(number, speaker)) is not None and score.llr is not None:
                mean.setdefault(everybody.words[number].about.speaker, []).append(score.llr)
        nearest = max(mean, key=lambda name: float(np.mean(mean[name])))
        return sorted(mean[nearest], reverse=True)
    return scored(everybody, speaker, lies)


def scored(everybody: Everybody, speaker: str, numbers: Sequence[int]) -> list[float]:
    """Their final LLRs; who said too little has none."""
    found = (everybody.final(number, speaker) for number in numbers)
    return [score.llr for score in found if score is not None and score.llr is not None]


if __name__ == "__main__":
    main()
