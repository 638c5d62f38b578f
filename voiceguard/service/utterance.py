"""One recording as one test utterance: hops 2 to 5 in a straight line, for files and arrays.

Blocking; what ``verify``, ``identify``, the importable API and the evaluation do. The daemon's
journey for endless audio is :mod:`voiceguard.pipeline.stream`; both use the same gate, windows,
pooling and judge.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from voiceguard.pipeline.segments import SegmentEvidence
from voiceguard.scoring.policy import Evidence
from voiceguard.scoring.pooling import Pooling
from voiceguard.types import Reason, Window

if TYPE_CHECKING:
    from voiceguard.decisions.result import Judgement
    from voiceguard.pipeline.judge import Judge
    from voiceguard.service.kit import Kit
    from voiceguard.types import Embedding, Recorded


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """What was heard in a recording."""

    embedding: Embedding | None
    """Pooled over all its speech; None where no stretch of speech was long enough."""
    evidence: Evidence
    """Its ``snr_db`` is the segments' mean, weighted by their speech; NaN without any."""
    num_segments: int


def examine(kit: Kit, recording: Recorded, *, change_cosine: float | None = None) -> Utterance:
    """Finds the speech in a recording, embeds its windows and pools them.

    Holds some seconds of it at a time, however long it is.

    Args:
        kit: Encoder, gate and windows.
        recording: Mono 16 kHz.
        change_cosine: Below it, successive stretches of speech are two voices; None: don't look.
    """
    ear, encoder = kit.make_ear(), kit.encoder.open_stream()
    pooling = Pooling(ear.max_window_samples)
    probes = SegmentEvidence(0, ear.max_window_samples)
    speech_s: list[float] = []
    snrs_db: list[float] = []
    for item in ear.hear(recording):
        if not isinstance(item, Window):
            if kit.overlap is not None and item.samples is not None:
                probes.heard_two_voices |= kit.overlap.hears_two(item.samples)
            speech_s.append(item.net_speech_s)
            snrs_db.append(item.snr_db)
            continue
        embedding = encoder.embed(item)
        if not item.is_probe:
            pooling.add(embedding, len(item.samples))
        elif change_cosine is not None:
            probes.add(item, embedding)
            probes.note_change(change_cosine)
    return Utterance(
        embedding=pooling.pooled(),
        evidence=Evidence(
            net_speech_s=sum(speech_s),
            snr_db=float(np.average(snrs_db, weights=speech_s)) if sum(speech_s) else float("nan"),
            is_final=True,
            impediment=Reason.MORE_THAN_ONE_VOICE if probes.heard_two_voices else None,
        ),
        num_segments=len(speech_s),
    )


def judge_recording(kit: Kit, judge: Judge, recording: Recorded) -> Judgement:
    """One judgement about a whole recording.

    Args:
        kit: Made the judge.
        judge: With a claim for verification, without for identification.
        recording: Mono 16 kHz.
    """
    heard = examine(kit, recording, change_cosine=judge.change_cosine)
    return judge.judge(heard.embedding, heard.evidence)
