"""From one encoder to an imported one, in the order in which somebody does it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests.cli.command import voiceguard
from tests.encoder.foreign.made import make_speechbrain
from tests.fakes import hears_tones
from tests.lab.evaluation.voices import people, write_corpus
from tests.recordings import TAKES
from voiceguard.audio.files import load_audio
from voiceguard.cli.decide import verify
from voiceguard.cli.models.bring import import_model
from voiceguard.cli.models.use import use_model
from voiceguard.cli.people.migrate import migrate
from voiceguard.cli.people.voiceprints import list_voiceprints
from voiceguard.encoder.library import DEFAULT_MODEL, stated_encoder_id
from voiceguard.encoder.loading import load_encoder
from voiceguard.enrollment import TakeJudge, Takes
from voiceguard.errors import VoiceprintError
from voiceguard.paths import models_dir
from voiceguard.voiceprints import VoiceprintStore, audio_to_keep

if TYPE_CHECKING:
    from pathlib import Path


def _enroll(state: Path) -> VoiceprintStore:
    """Robin agreed to keep the audio, Sam did not."""
    store = VoiceprintStore(state, environ={})
    takes = Takes(TakeJudge(encoder=load_encoder("default", device="cpu"), make_vad=hears_tones))
    for file in TAKES[:2]:
        takes.add(load_audio(file), recorded_at=datetime.now(UTC))
    now = datetime.now(UTC)
    robin = takes.voiceprint("robin", consent_at=now, now=now)
    store.save(robin, audio=audio_to_keep(robin, takes.usable_audio, now, None))
    store.save(takes.voiceprint("sam", consent_at=now, now=now))
    return store


def test_after_a_switch_everything_says_how_to_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / "state"
    store = _enroll(state)
    import_model(make_speechbrain(tmp_path / "theirs"), name="tiny", state_dir=state)
    use_model("tiny", state_dir=state)
    said = capsys.readouterr().err
    old_id, tiny_id = stated_encoder_id(DEFAULT_MODEL), stated_encoder_id("tiny", models_dir(state))
    for words in (
        "every decision is inconclusive (uncalibrated) until `voiceguard calibrate`",
        f"the voiceprint of 'robin' was made by encoder {old_id} ({DEFAULT_MODEL})",
        f"the one in use is {tiny_id} (tiny)",
        f"`voiceguard models use {DEFAULT_MODEL}` goes back to the encoder that made it",
        "`voiceguard voiceprints migrate robin` makes it anew",
        "no audio was kept to make it anew from: `voiceguard enroll sam --force`",
        "until it is restarted",
    ):
        assert words in said

    with pytest.raises(VoiceprintError, match="the voiceprint of 'robin' was made by encoder"):
        verify("robin", TAKES[3], state_dir=state)

    assert migrate(["robin"], state_dir=state) == 0
    assert store.load("robin").encoder_id == tiny_id

    undecided = voiceguard("verify", "robin", TAKES[3], "--json", state=state)
    assert undecided.returncode == 4, undecided.stderr
    result = json.loads(undecided.stdout)
    assert (result["outcome"], result["reason"]) == ("inconclusive", "uncalibrated")
    assert result["scores"][0]["llr"] is None
    assert -1 <= result["scores"][0]["cosine"] <= 1
    capsys.readouterr()
    assert verify("robin", TAKES[3], state_dir=state) == 4
    shown = capsys.readouterr().out
    assert "inconclusive robin (uncalibrated)" in shown
    assert "This encoder has no calibration" in shown
    assert "`voiceguard calibrate` makes one" in shown
    assert "LLR" not in shown
    list_voiceprints(state_dir=state)
    listed = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert " tiny " in listed["robin"]
    assert f" {DEFAULT_MODEL} " in listed["sam"]

    corpus = tmp_path / "corpus"
    corpus.mkdir()
    write_corpus(corpus, people(10, utterances=4, second_session=0), spoken=True)
    cache = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    calibrated = voiceguard("calibrate", corpus, "--json", state=state, environment=cache)
    assert calibrated.returncode == 0, calibrated.stderr
    assert json.loads(calibrated.stdout)["encoder_id"] == tiny_id
    capsys.readouterr()
    verify("robin", TAKES[3], state_dir=state, json_lines=True)
    result = json.loads(capsys.readouterr().out)
    assert result["reason"] != "uncalibrated"
    assert result["scores"][0]["llr"] is not None
