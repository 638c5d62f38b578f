"""How much memory the whole path of a recording takes: ``python -m tests.service.memory FILE``.

Prints this process's greatest resident set in MB, after the file was verified, enrolled, embedded
and made an evaluation's utterance, by an encoder that costs nothing.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from tests.fakes import ENCODER_ID, PitchEncoder, hears_tones, plain_calibration
from voiceguard.audio.files import SoundFile
from voiceguard.enrollment import TakeJudge, Takes
from voiceguard.lab.bench.memory import peak_memory_mb
from voiceguard.lab.corpora.clips import speech_of
from voiceguard.lab.corpora.windows import load_spread
from voiceguard.scoring.limits import EnrollmentLimits
from voiceguard.service.kit import Kit
from voiceguard.service.utterance import examine
from voiceguard.service.whole import embed_whole
from voiceguard.settings import Settings
from voiceguard.speech.vad import VadConfig


def main(path: Path) -> None:
    """Everything that takes a recording takes this one."""
    encoder = PitchEncoder()
    calibration = plain_calibration(ENCODER_ID)
    as_shipped = Kit(settings=Settings(), encoder=encoder, cohort=None, calibration=calibration)
    examine(as_shipped, SoundFile(path), change_cosine=0.5)  # to its speech model tones are none
    energy = Settings(vad=VadConfig(backend="energy"))
    kit = replace(as_shipped, settings=energy)
    heard = examine(kit, SoundFile(path), change_cosine=0.5)
    assert heard.num_segments >= 10
    judge = TakeJudge(
        encoder=encoder,
        make_vad=hears_tones,
        limits=EnrollmentLimits(min_agreement=0.35, max_voice_break=0.5, min_agreement_added=0.2),
    )
    takes = Takes(judge, keep_audio=False)
    report = takes.add(SoundFile(path), recorded_at=datetime.now(UTC))
    assert report.net_speech_s > 15
    assert embed_whole(encoder, SoundFile(path)).num_pieces > 1
    spoken = speech_of(load_spread(path), kit.make_gate(), np.random.default_rng(1))
    assert spoken.net_s > 15
    print(round(peak_memory_mb()))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
