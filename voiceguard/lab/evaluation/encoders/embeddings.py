"""Every voiceprint and every test of a corpus, embedded by every encoder as speakers come.

In: speakers' utterances, a plan, encoders. Out: ``Embedded``: embeddings in arrays, from which
trials are combinations. Audio is never kept.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from voiceguard.errors import UsageError
from voiceguard.lab.corpora.corpus import Skip
from voiceguard.lab.corpora.embedding_cache import embed_all
from voiceguard.lab.evaluation.pieces import estimated_snr_db, pieces_of, within
from voiceguard.lab.evaluation.utterances import left_to_test, takes_of
from voiceguard.scoring.cosine import renormalised_mean
from voiceguard.types import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    from voiceguard.lab.corpora.corpus import Recording
    from voiceguard.lab.evaluation.pieces import Piece
    from voiceguard.lab.evaluation.plan import Plan
    from voiceguard.lab.evaluation.utterances import SpokenSessions, Utterance
    from voiceguard.protocols import Encoder
    from voiceguard.service.kit import Kit
    from voiceguard.types import Embedding, Samples


class Cell(NamedTuple):
    """Trials that stand in one line of a table."""

    condition: str
    length: str


class Tested(NamedTuple):
    """What one test embedding was made from."""

    about: Recording
    """One of its session."""
    net_speech_s: float
    snr_db: float
    """As the gate estimates it; NaN where nobody asked."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Embedded:
    """What encoders made of a corpus; the rows mean the same for each of them."""

    enrollees: tuple[Recording, ...]
    """One recording of each that a voiceprint was made from."""
    tests: Mapping[Cell, tuple[Tested, ...]]
    voiceprints: Mapping[str, NDArray[np.float32]]
    """By encoder's label: ``(num_enrollees, embedding_dim)``, norm 1."""
    embeddings: Mapping[str, Mapping[Cell, NDArray[np.float32]]]
    """By encoder's label: ``(num_tests, embedding_dim)``, norm 1."""
    skips: tuple[Skip, ...]


@dataclass(slots=True, kw_only=True)
class Embedder:
    """Embeds speakers as they come: no threshold and no refusal plays a part."""

    kit: Kit
    """Its gate estimates SNRs; its encoder plays no part."""
    encoders: Mapping[str, Encoder]
    """By label."""
    plan: Plan
    with_snr: bool
    """Whether to estimate SNRs as the daemon would; takes time."""
    skips: list[Skip] = field(default_factory=list)
    _enrollees: list[Recording] = field(default_factory=list)
    _tests: dict[Cell, list[Tested]] = field(default_factory=lambda: defaultdict(list))
    _voiceprints: dict[str, list[Embedding]] = field(default_factory=lambda: defaultdict(list))
    _embeddings: dict[tuple[str, Cell], list[Embedding]] = field(
        default_factory=lambda: defaultdict(list)
    )

    @property
    def least_s(self) -> float:
        """What the most demanding encoder needs."""
        return max(encoder.info.min_window_s for encoder in self.encoders.values())

    def take(self, spoken: SpokenSessions) -> None:
        """Enrolls a speaker who has utterances enough, and embeds everything else."""
        self.skips += spoken.skips
        sessions = self._long_enough(spoken)
        takes = takes_of(sessions, self.plan.num_enroll)
        if takes:
            self.enroll(takes[0].recording, [take.speech.samples for take in takes])
        for session in left_to_test(sessions, takes):
            self.test(session[0].recording, pieces_of(session, self.plan))

    def enroll(self, about: Recording, takes: list[Samples]) -> None:
        """Makes a voiceprint: the renormalised mean of the takes' embeddings."""
        self._enrollees.append(about)
        for label, encoder in self.encoders.items():
            mean = renormalised_mean(np.stack(embed_all(encoder, takes)))
            self._voiceprints[label].append(mean)

    def test(self, about: Recording, pieces: Iterable[Piece]) -> None:
        """Embeds somebody's speech under every condition, all pieces together."""
        heard = [each for piece in pieces for each in self._heard(about, piece)]
        for cell, tested, _ in heard:
            self._tests[cell].append(tested)
        for label, encoder in self.encoders.items():
            embeddings = embed_all(encoder, [samples for _, _, samples in heard])
            for (cell, _, _), embedding in zip(heard, embeddings, strict=True):
                self._embeddings[label, cell].append(embedding)

    def finish(self, *, min_enrolled: int = 2) -> Embedded:
        """Stacks what was collected.

        Raises:
            UsageError: Fewer than ``min_enrolled`` speakers were enrolled.
        """
        if len(self._enrollees) < min_enrolled:
            raise UsageError(
                f"{len(self._enrollees)} speakers could be enrolled, where 2 are needed",
                hint=f"each needs a session of more than {self.plan.num_enroll} utterances, or "
                "enroll from fewer",
            )
        return Embedded(
            enrollees=tuple(self._enrollees),
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

    def _long_enough(self, spoken: SpokenSessions) -> dict[str, list[Utterance]]:
        """The sessions without utterances that are too short for one of the encoders."""
        sessions: dict[str, list[Utterance]] = {}
        for name, session in spoken.sessions.items():
            for each in session:
                if len(each.speech.samples) < self.least_s * SAMPLE_RATE_HZ:
                    why = f"less than {self.least_s:g} s of speech"
                    self.skips.append(Skip(each.recording.path, why))
                else:
                    sessions.setdefault(name, []).append(each)
        return sessions

    def _heard(self, about: Recording, piece: Piece) -> Iterator[tuple[Cell, Tested, Samples]]:
        for condition in self.plan.conditions:
            if not self.plan.is_tested(piece.length, condition.name):
                continue
            clip = piece.heard(condition)
            snr_db = estimated_snr_db(clip, self.kit.make_gate()) if self.with_snr else np.nan
            tested = Tested(about, piece.net_speech_s, snr_db)
            yield Cell(condition.name, piece.length), tested, within(clip)
