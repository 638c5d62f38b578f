"""The real Guard over the fake encoder: enrollment, store, gate, judge and decisions as in use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from voiceguard.api import Guard
from voiceguard.enrollment import TakeJudge
from voiceguard.scoring.calibration import Calibration, Provenance
from voiceguard.scoring.limits import NO_LIMITS
from voiceguard.scoring.tail import fit_tail
from voiceguard.service.kit import Kit
from voiceguard.settings import load_settings
from voiceguard.speech.vad import make_vad
from voiceguard.testing.encoder import ENCODER_ID, FakeEncoder

if TYPE_CHECKING:
    from pathlib import Path

    from voiceguard.protocols import OverlapDetector

NUM_TRIALS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class _TonesKit(Kit):
    """A kit whose enrollment has no speech model ask whether a tone is speech: it is not."""

    @property
    def take_judge(self) -> TakeJudge:
        return TakeJudge(
            encoder=self.encoder,
            make_vad=lambda: make_vad(self.settings.vad),
            gate=self.settings.gate,
            limits=NO_LIMITS,
        )


def fake_guard(
    state_dir: Path,
    *,
    encoder: FakeEncoder | None = None,
    overlap: OverlapDetector | None = None,
    **settings: Any,  # noqa: ANN401 - whatever open_guard takes
) -> Guard:
    """A guard that knows tones apart; ready in milliseconds.

    Args:
        state_dir: Where its voiceprints are, a temporary directory.
        encoder: Another one, to count its calls or to let it fail.
        overlap: Says whether two people speak at once; None: nobody listens for that.
        **settings: As in ``open_guard``: ``policy={"p_fa": 0.001}``.

    Raises:
        ConfigError: A setting is wrong.
    """
    ears: dict[str, Any] = {"vad": {"backend": "energy"}}  # no speech model takes a tone for speech
    chosen = load_settings(None, **{**ears, **settings, "state_dir": str(state_dir)})
    encoder = encoder or FakeEncoder()
    calibration = easy_calibration(encoder.info.encoder_id)
    return Guard(
        _TonesKit(
            settings=chosen,
            encoder=encoder,
            cohort=None,
            calibration=calibration,
            overlap=overlap,
        )
    )


def easy_calibration(encoder_id: str = ENCODER_ID) -> Calibration:
    """Cosine 0.5 is undecided, 1 is nearly certain; fitted on Gaussian LLRs, without a cohort."""
    rng = np.random.default_rng(7)
    nontarget, target = rng.normal(-8.0, 2.0, NUM_TRIALS), rng.normal(8.0, 2.0, NUM_TRIALS)
    return Calibration(
        encoder_id=encoder_id,
        cohort_id=None,
        slope=20.0,
        offset=-10.0,
        quality_range=((np.log(0.8), np.log(10.0)), (0.0, 40.0)),
        nontarget_tails=(fit_tail(nontarget, condition="clean", num_independent=NUM_TRIALS),),
        target_tails=(fit_tail(-target, condition="clean", num_independent=NUM_TRIALS),),
        provenance=Provenance(
            created_on="2026-11-21",
            corpora=("synthetic",),
            num_speakers=2,
            num_target_trials=NUM_TRIALS,
            num_nontarget_trials=NUM_TRIALS,
            p_target=0.05,
            cllr=0.01,
            min_cllr=0.01,
            eer=0.001,
        ),
    )
