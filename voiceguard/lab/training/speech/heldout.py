"""Errors on speakers that the run does not learn, over its course.

In: the held-out speakers' passages. Out: EERs, clean and corrupted. A sign of progress, not a
verdict: most of these speakers were recorded once, so their trials are of one session.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from voiceguard.errors import UsageError
from voiceguard.lab.corpora.clips import seeded
from voiceguard.lab.fitting.metrics import eer
from voiceguard.types import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from torch import Tensor

    from voiceguard.lab.training.corruption.augment import Augmenter
    from voiceguard.lab.training.speech.material import Passage

LENGTHS_S = (1.0, 2.0, 3.0)
ENROLL_S = 4.0
MIN_HELDOUT = 4
"""Speakers with speech enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """Clips to embed; row i of every tensor is speaker i."""

    corpora: NDArray[np.str_]
    """``(num_speakers,)``"""
    enroll: Tensor
    """``(num_speakers, num_samples)``."""
    tests: dict[str, Tensor]
    """``(num_speakers, num_samples)`` by condition: ``1 s clean`` to ``3 s corrupted``."""

    def eers(self, embed: Callable[[Tensor], Tensor]) -> dict[str, float]:
        """EER per condition; every speaker is tried against the others of the corpus.

        Args:
            embed: ``(batch, num_samples)`` to ``(batch, dim)``.
        """
        voiceprints = torch.nn.functional.normalize(embed(self.enroll)).cpu().numpy()
        is_target = np.eye(len(self.corpora), dtype=np.bool_)
        same_corpus = self.corpora[:, None] == self.corpora[None, :]
        found = {}
        for condition, clips in self.tests.items():
            tests = torch.nn.functional.normalize(embed(clips)).cpu().numpy()
            cosine = (voiceprints @ tests.T).astype(np.float64)
            found[condition] = eer(cosine[is_target], cosine[same_corpus & ~is_target])
        return found


def choose_heldout(passages: tuple[Passage, ...], share: float, seed: int) -> list[str]:
    """Speakers to hold out: a seeded choice among those with speech enough, corpus by corpus."""
    seconds: dict[str, float] = {}
    corpus_of: dict[str, str] = {}
    for passage in passages:
        so_far = seconds.get(passage.speaker, 0.0)
        seconds[passage.speaker] = so_far + passage.seconds
        corpus_of[passage.speaker] = passage.corpus
    needed = ENROLL_S + max(LENGTHS_S) if share else 0.0
    chosen: list[str] = []
    for corpus in sorted(set(corpus_of.values())):
        own = sorted(s for s, name in corpus_of.items() if name == corpus)
        able = [speaker for speaker in own if seconds[speaker] >= needed]
        num = min(round(share * len(own)), len(able))
        chosen += seeded(seed, corpus).choice(able, num, replace=False).tolist() if num > 1 else []
    if share and len(chosen) < MIN_HELDOUT:
        raise UsageError(
            f"{len(chosen)} speakers could be held out, where {MIN_HELDOUT} are needed",
            hint=f"they need {needed:g} s of speech each, and every corpus gives its share or "
            "nobody: add some, raise heldout_share (--set heldout_share=0.2), or set it to 0",
        )
    return sorted(chosen)


def make_heldout(
    passages: tuple[Passage, ...], speakers: list[str], augmenter: Augmenter, seed: int
) -> HeldOut | None:
    """The clips of these speakers; None of nobody.

    Args:
        passages: Of everybody.
        speakers: From ``choose_heldout``.
        augmenter: On the CPU; corrupts half of the tests, always in the same way.
        seed: Of that.
    """
    if not speakers:
        return None
    enroll_samples = int(ENROLL_S * SAMPLE_RATE_HZ)
    whole, corpora = [], []
    for speaker in speakers:
        own = [passage for passage in passages if passage.speaker == speaker]
        whole.append(np.concatenate([passage.samples for passage in own]))
        corpora.append(own[0].corpus)
    tests: dict[str, Tensor] = {}
    for length_s in LENGTHS_S:
        # The end: as far from the enrollment as the recordings allow.
        clean = torch.from_numpy(np.stack([x[-int(length_s * SAMPLE_RATE_HZ) :] for x in whole]))
        tests[f"{length_s:g} s clean"] = clean
        tests[f"{length_s:g} s corrupted"] = augmenter(clean, seeded(seed, str(length_s)))
    return HeldOut(
        corpora=np.array(corpora),
        enroll=torch.from_numpy(np.stack([x[:enroll_samples] for x in whole])),
        tests=tests,
    )
