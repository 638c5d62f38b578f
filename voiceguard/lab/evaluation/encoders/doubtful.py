"""Labels that may lie: two names for one person, and one name for two.

In: labelled speech and two unrelated encoders, the witnesses. Out: what both of them doubt. One
witness is not enough: what an encoder confuses it would call one person, and the trials that it
fails at would be left out of its own judgement. Every session of a label is one embedding; labels
are compared within a corpus.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from voiceguard.errors import UsageError
from voiceguard.lab.corpora.embedding_cache import embed_all
from voiceguard.lab.evaluation.utterances import each_speaker
from voiceguard.lab.progress import untracked
from voiceguard.scoring.cosine import renormalised_mean
from voiceguard.types import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from voiceguard.lab.corpora.corpus import Corpus, Recording, Skip
    from voiceguard.lab.evaluation.utterances import Utterance
    from voiceguard.lab.progress import Track
    from voiceguard.protocols import Encoder
    from voiceguard.service.kit import Kit
    from voiceguard.types import Embedding

MIN_SPEECH_S = 4.0
"""Of a session; less of it has no say."""
NUM_WITNESSES = 2
OWN_SHARE = 0.25
"""Two labels pass for one person where they are as alike as the least alike quarter of what one
label said at two times."""
STRANGERS_SHARE = 0.95
"""A label's two sessions pass for two people where they are no more alike than so many pairs of
strangers."""
_MIN_LABELS = 3
_MIN_OWN = 10
"""Pairs of sessions of one label that show how alike one person's are; with fewer, halves of a
session stand in, and the limit is stricter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """How alike one encoder finds speech in one corpus."""

    encoder: str
    corpus: str
    own_median: float
    """Cosine between sessions of one label; between halves of a session, where few have two."""
    one_person: float
    """Labels at least this alike are one person to it."""
    two_people: float
    """Sessions less alike than this are two people to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """Two labels that both witnesses call one person, or two sessions that neither does."""

    corpus: str
    first: str
    """A label; of sessions, ``label, session``."""
    second: str
    cosines: Mapping[str, float]
    """By witness."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubts:
    """What both witnesses doubt, what is most doubtful first."""

    witnesses: tuple[Witness, ...]
    one_person: tuple[Doubt, ...]
    several_people: tuple[Doubt, ...]
    num_labels: int
    """With speech enough to be compared."""
    num_pairs: int
    """Of labels that were compared."""
    skips: tuple[Skip, ...]


class _Session(NamedTuple):
    """One occasion of one label, as one encoder hears it."""

    about: Recording
    whole: Embedding
    halves: tuple[Embedding, Embedding] | None


def find_doubtful(
    kit: Kit,
    witnesses: Mapping[str, Encoder],
    corpus: Corpus,
    *,
    seed: int = 0,
    track: Track = untracked,
) -> Doubts:
    """Compares every label with every other one of its corpus, and every label with itself.

    Args:
        kit: Its gate finds the speech.
        witnesses: Two encoders by name, of which neither learnt from the other.
        corpus: Whose labels are in question.
        seed: Of the room tone around each recording.
        track: Shows progress.

    Raises:
        UsageError: Not two witnesses, or fewer than three labels with speech enough in a corpus.
    """
    if len(witnesses) != NUM_WITNESSES:
        raise UsageError(
            f"{NUM_WITNESSES} encoders must agree before a label is doubted, not {len(witnesses)}",
            hint="name two, of which neither learnt from the other: --model A --model B",
        )
    skips: list[Skip] = list(corpus.skips)
    heard: dict[str, list[_Session]] = {name: [] for name in witnesses}
    least_s = max(encoder.info.min_window_s for encoder in witnesses.values())
    least_samples = least_s * SAMPLE_RATE_HZ
    for spoken in each_speaker(kit, corpus, seed=seed, track=track, description="listening"):
        skips += spoken.skips
        for session in spoken.sessions.values():
            long_enough = [each for each in session if len(each.speech.samples) >= least_samples]
            if sum(each.speech.net_s for each in long_enough) < MIN_SPEECH_S:
                continue
            for name, encoder in witnesses.items():
                heard[name].append(_embedded(encoder, long_enough))
    pairs = [
        tuple(
            _Table(name, of, [each for each in heard[name] if each.about.corpus == of])
            for name in witnesses
        )
        for of in corpus.corpora
    ]
    compared = [both for both in pairs if all(table.is_enough for table in both)]
    if not compared:
        raise UsageError(
            f"no corpus here has three labels with {MIN_SPEECH_S:g} s of speech in a session, and "
            "one with two utterances or sessions",
            hint="give more of each label's recordings",
        )
    return Doubts(
        witnesses=tuple(table.witness() for both in compared for table in both),
        one_person=_sorted([each for both in compared for each in _one_person(both)], -1),
        several_people=_sorted([each for both in compared for each in _several_people(both)], 1),
        num_labels=sum(len(both[0].labels) for both in compared),
        num_pairs=sum(len(labels) * (len(labels) - 1) // 2 for labels in _labels(compared)),
        skips=tuple(skips),
    )


def _embedded(encoder: Encoder, session: Sequence[Utterance]) -> _Session:
    """The renormalised mean over a session's utterances, and over every second of them."""
    rows = np.stack(embed_all(encoder, [each.speech.samples for each in session]))
    halves = None
    if len(rows) > 1:
        halves = renormalised_mean(rows[::2]), renormalised_mean(rows[1::2])
    return _Session(session[0].recording, renormalised_mean(rows), halves)


class _Table:
    """One witness on one corpus: cosines between sessions, and where it draws its lines."""

    def __init__(self, encoder: str, corpus: str, sessions: Sequence[_Session]) -> None:
        self.encoder, self.corpus = encoder, corpus
        self.sessions = [each.about for each in sessions]
        self.labels, self.label_of = np.unique(
            np.array([each.speaker for each in self.sessions], dtype=np.str_), return_inverse=True
        )
        rows = np.stack([each.whole for each in sessions]) if sessions else np.empty((0, 1))
        self.cosines: NDArray[np.float64] = np.asarray(rows @ rows.T, dtype=np.float64)
        is_own = self.label_of[:, None] == self.label_of[None, :]
        is_later = np.triu(np.ones_like(is_own), 1)
        self.own = np.argwhere(is_own & is_later)
        self._own = self.cosines[is_own & is_later]
        self._others = self.cosines[~is_own & is_later]
        if len(self._own) < _MIN_OWN:
            halves = [each.halves for each in sessions if each.halves]
            self._own = np.array([float(one @ other) for one, other in halves])

    @property
    def is_enough(self) -> bool:
        """Whether it can be told what is alike here."""
        return len(self.labels) >= _MIN_LABELS and bool(len(self._own))

    def witness(self) -> Witness:
        return Witness(
            encoder=self.encoder,
            corpus=self.corpus,
            own_median=float(np.median(self._own)),
            one_person=float(np.quantile(self._own, OWN_SHARE)),
            two_people=float(np.quantile(self._others, STRANGERS_SHARE)),
        )

    def between_labels(self) -> NDArray[np.float64]:
        """``(num_labels, num_labels)``: means over the pairs of their sessions."""
        of = np.eye(len(self.labels))[self.label_of]  # (num_sessions, num_labels)
        of = of / of.sum(axis=0)
        return np.asarray(of.T @ self.cosines @ of)

    def name(self, session: int) -> str:
        """Of one occasion, in a list."""
        about = self.sessions[session]
        return f"{about.speaker}, {about.session or 'the only session'}"


def _labels(compared: Sequence[tuple[_Table, ...]]) -> list[NDArray[np.str_]]:
    return [both[0].labels for both in compared]


def _one_person(both: Sequence[_Table]) -> list[Doubt]:
    """Pairs of labels that are one person to every witness."""
    between = [table.between_labels() for table in both]
    doubted = np.all(
        [
            cosines >= table.witness().one_person
            for table, cosines in zip(both, between, strict=True)
        ],
        axis=0,
    )
    return [
        Doubt(
            corpus=both[0].corpus,
            first=str(both[0].labels[first]),
            second=str(both[0].labels[second]),
            cosines={
                table.encoder: float(cosines[first, second])
                for table, cosines in zip(both, between, strict=True)
            },
        )
        for first, second in np.argwhere(np.triu(doubted, 1))
    ]


def _several_people(both: Sequence[_Table]) -> list[Doubt]:
    """Pairs of one label's sessions that are two people to every witness."""
    return [
        Doubt(
            corpus=both[0].corpus,
            first=both[0].name(first),
            second=both[0].name(second),
            cosines={table.encoder: float(table.cosines[first, second]) for table in both},
        )
        for first, second in both[0].own.tolist()
        if all(table.cosines[first, second] < table.witness().two_people for table in both)
    ]


def _sorted(doubts: list[Doubt], sign: int) -> tuple[Doubt, ...]:
    return tuple(sorted(doubts, key=lambda each: sign * min(each.cosines.values())))
