"""A handful of real speakers, through everything, with the encoder that is shipped."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from tests.lab.evaluation.voices import make_kit
from tests.services import SHARED, needs_shared
from voiceguard.encoder import load_encoder
from voiceguard.lab.corpora.corpus import Corpus, Recording, read_corpus
from voiceguard.lab.corpora.embedding_cache import RememberingEncoder
from voiceguard.lab.evaluation.daemon.experiment import run_experiment
from voiceguard.lab.evaluation.daemon.trials import score_trials
from voiceguard.lab.evaluation.plan import Plan
from voiceguard.lab.fitting.metrics import eer
from voiceguard.lab.fitting.trials import Kind

if TYPE_CHECKING:
    from pathlib import Path

SPEAKERS = ("BlueB", "Claudia", "BlueAgent", "bart")
"""Two of each half; two of them have two sessions."""
NUM_PER_SESSION = 5


@needs_shared
def test_real_speakers_are_told_apart_by_whole_utterances(tmp_path: Path) -> None:
    everybody = read_corpus(SHARED / "speech" / "eval" / "voxforge")
    wanted = {f"voxforge/{name}" for name in SPEAKERS}
    sessions: dict[tuple[str, str], list[Recording]] = {}
    for each in everybody.recordings:
        sessions.setdefault((each.speaker, each.session), []).append(each)
    chosen = [
        each
        for (speaker, _), session in sessions.items()
        if speaker in wanted
        for each in session[:NUM_PER_SESSION]
    ]
    assert {each.speaker for each in chosen} == wanted
    with RememberingEncoder(load_encoder(), tmp_path) as encoder:
        kit = replace(make_kit(), encoder=encoder)
        corpus = Corpus(recordings=tuple(chosen), skips=())
        plan = Plan(lengths_s=(3.0,), max_places=1)
        experiment = run_experiment(kit, corpus, plan, change_cosine=None)
    assert len(experiment.enrolled) == len(SPEAKERS)
    trials = score_trials(experiment, None)
    assert np.count_nonzero(trials.kind == Kind.CROSS_SESSION) >= 3
    assert eer(trials.target, trials.nontarget) < 0.2
    crops = trials.condition == "3 s clean"
    assert np.median(trials.net_speech_s[crops]) > 2.5
