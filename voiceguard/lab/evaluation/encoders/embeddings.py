"""Every voiceprint and every test of a corpus, embedded by every encoder in one pass.

In: a corpus, a plan, encoders. Out: ``Embedded``: embeddings in arrays, from which trials are
combinations. Audio is decoded once and never kept; with a cache directory nothing is embedded
twice, not even by the next run.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from voiceguard.errors import UsageError
from voiceguard.lab.corpora.corpus import Skip
from voiceguard.lab.corpora.embedding_cache import RememberingEncoder, embed_all
from voiceguard.lab.evaluation.daemon.experiment import load_utterances, takes_of
from voiceguard.lab.evaluation.encoders.protocol import (
    Enrollee,
    Tested,
    estimated_snr_db,
    pieces_of,
    within,
)
from voiceguard.lab.progress import untracked
from voiceguard.scoring.cosine import renormalised_mean
from voiceguard.types import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from contextlib import ExitStack
    from pathlib import Path

    from numpy.typing import NDArray

    from voiceguard.lab.corpora.corpus import Corpus, Recording
    from voiceguard.lab.evaluation.daemon.experiment import Utterance
    from voiceguard.lab.evaluation.encoders.protocol import EncoderPlan, Piece
    from voiceguard.lab.progress import Track
    from voiceguard.protocols import Encoder
    from voiceguard.service.kit import Kit
    from voiceguard.types import Embedding, Samples


class Cell(NamedTuple):
    """Trials that stand in one line of a table."""

    condition: str
    length: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Embedded:
    """What encoders made of a corpus; the rows mean the same for each of them."""

    enrollees: tuple[Enrollee, ...]
    tests: Mapping[Cell, tuple[Tested, ...]]
    voiceprints: Mapping[str, NDArray[np.float32]]
    """By encoder's label: ``(num_enrollees, embedding_dim)``, norm 1."""
    embeddings: Mapping[str, Mapping[Cell, NDArray[np.float32]]]
    """By encoder's label: ``(num_tests, embedding_dim)``, norm 1."""
    skips: tuple[Skip, ...]


@dataclass(slots=True)
class Collector:
    """Embeds as material comes in."""

    encoders: Mapping[str, Encoder]
    enrollees: list[Enrollee] = field(default_factory=list)
    skips: list[Skip] = field(default_factory=list)
    _tests: dict[Cell, list[Tested]] = field(default_factory=lambda: defaultdict(list))
    _voiceprints: dict[str, list[Embedding]] = field(default_factory=lambda: defaultdict(list))
    _embeddings: dict[tuple[str, Cell], list[Embedding]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def enroll(self, enrollee: Enrollee, takes: Iterable[Samples]) -> None:
        """Makes a voiceprint: the renormalised mean of the takes' embeddings."""
        listed = list(takes)
        self.enrollees.append(enrollee)
        for label, encoder in self.encoders.items():
            mean = renormalised_mean(np.stack(embed_all(encoder, listed)))
            self._voiceprints[label].append(mean)

    def test(self, tests: Iterable[tuple[Cell, Tested, Samples]]) -> None:
        """Embeds test utterances, those of one call together."""
        listed = list(tests)
        for cell, tested, _ in listed:
            self._tests[cell].append(tested)
        for label, encoder in self.encoders.items():
            embeddings = embed_all(encoder, [samples for _, _, samples in listed])
            for (cell, _, _), embedding in zip(listed, embeddings, strict=True):
                self._embeddings[label, cell].append(embedding)

    def finish(self) -> Embedded:
        """Stacks what was collected."""
        return Embedded(
            enrollees=tuple(self.enrollees),
            tests={cell: tuple(tests) for cell, tests in self._tests.items()},
            voiceprints={
                label: np.stack(voiceprints) for label, voiceprints in self._voiceprints.items()
            },
            embeddings={
                label: {cell: np.stack(self._embeddings[label, cell]) for cell in self._tests}
                for label in self.encoders
            },
            skips=tuple(self.skips),
        )


def remembering(
    encoders: Mapping[str, Encoder], cache: Path | None, stack: ExitStack
) -> dict[str, Encoder]:
    """Encoders that embed nothing twice, where there is a directory to remember in.

    Args:
        encoders: By label.
        cache: The directory, or None.
        stack: Closes them.
    """
    if cache is None:
        return dict(encoders)
    return {
        label: stack.enter_context(RememberingEncoder(encoder, cache))
        for label, encoder in encoders.items()
    }


def embed_corpus(
    kit: Kit,
    encoders: Mapping[str, Encoder],
    corpus: Corpus,
    plan: EncoderPlan,
    *,
    with_snr: bool,
    track: Track = untracked,
) -> Embedded:
    """Enrolls every speaker who has enough utterances, and embeds what everybody else says.

    Args:
        kit: Its gate finds the speech; its encoder plays no part.
        encoders: By label.
        corpus: Labelled recordings.
        plan: Lengths, conditions, utterances per enrollment.
        with_snr: Whether to estimate SNRs as the daemon would; takes time.
        track: Shows progress.

    Raises:
        UsageError: Fewer than two speakers could be enrolled.
    """
    collector = Collector(encoders, skips=list(corpus.skips))
    speakers = corpus.by_speaker()
    for speaker in track(sorted(speakers), "embedding"):
        sessions = load_sessions(kit, encoders, speakers[speaker], plan.seed, collector.skips)
        takes = takes_of(sessions, plan.num_enroll)
        if takes:
            about = takes[0].recording
            enrollee = Enrollee(corpus=about.corpus, speaker=speaker, session=about.session)
            collector.enroll(enrollee, (take.speech.samples for take in takes))
        enrolled_from = {take.recording.path for take in takes}
        for session in sessions.values():
            rest = [each for each in session if each.recording.path not in enrolled_from]
            if rest:
                whose = rest[0].recording
                who = Enrollee(corpus=whose.corpus, speaker=speaker, session=whose.session)
                collector.test(
                    heard
                    for piece in pieces_of(rest, plan)
                    for heard in heard_pieces(kit, who, piece, plan, with_snr=with_snr)
                )
    if len(collector.enrollees) < 2:
        raise UsageError(
            f"{len(collector.enrollees)} speakers could be enrolled, where 2 are needed",
            hint=f"each needs a session of more than {plan.num_enroll} utterances, or enroll from "
            "fewer",
        )
    return collector.finish()


def load_sessions(
    kit: Kit,
    encoders: Mapping[str, Encoder],
    recordings: Iterable[Recording],
    seed: int,
    skips: list[Skip],
) -> dict[str, list[Utterance]]:
    """One speaker's utterances by session, without those too short for one of the encoders."""
    least_s = max(encoder.info.min_window_s for encoder in encoders.values())
    sessions: dict[str, list[Utterance]] = {}
    for name, session in load_utterances(kit, recordings, seed, skips).items():
        for each in session:
            if len(each.speech.samples) < least_s * SAMPLE_RATE_HZ:
                skips.append(Skip(each.recording.path, f"less than {least_s:g} s of speech"))
            else:
                sessions.setdefault(name, []).append(each)
    return sessions


def heard_pieces(
    kit: Kit, who: Enrollee, piece: Piece, plan: EncoderPlan, *, with_snr: bool
) -> Iterator[tuple[Cell, Tested, Samples]]:
    """A piece of somebody's speech under every condition, ready to be embedded."""
    for condition in plan.conditions:
        clip = piece.heard(condition)
        tested = Tested(
            corpus=who.corpus,
            speaker=who.speaker,
            session=who.session,
            net_speech_s=piece.speech.net_s,
            snr_db=estimated_snr_db(clip, kit.make_gate()) if with_snr else np.nan,
        )
        yield Cell(condition.name, piece.length), tested, within(clip)
