"""The importable API with the shipped encoder, as README and docs/python-api.md show it."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

import voiceguard
from tests.recordings import STRANGERS, TAKES
from voiceguard.audio.files import load_audio
from voiceguard.errors import EnrollmentError, VoiceprintError
from voiceguard.settings import load_settings
from voiceguard.types import SAMPLE_RATE_HZ
from voiceguard.voiceprints.store import VoiceprintStore

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def guard(tmp_path_factory: pytest.TempPathFactory) -> voiceguard.Guard:
    guard = voiceguard.open_guard(state_dir=str(tmp_path_factory.mktemp("state")))
    guard.enroll("robin", TAKES[:3], consent=True)
    return guard


def test_the_enrolled_voice_is_verified_and_identified(guard: voiceguard.Guard) -> None:
    """A take that was not enrolled with, in a file of its own."""
    judgement = guard.verify("robin", TAKES[3])
    assert (judgement.outcome, judgement.speaker) == (voiceguard.Outcome.ACCEPTED, "robin")
    assert guard.identify(TAKES[3]).speaker == "robin"


def test_no_stranger_of_the_demo_is_taken_for_the_enrolled_voice(guard: voiceguard.Guard) -> None:
    for stranger in STRANGERS:
        assert guard.identify(stranger).outcome is not voiceguard.Outcome.ACCEPTED


def test_recordings_may_be_arrays(guard: voiceguard.Guard) -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, 32_000).astype(np.float32)
    embedding = guard.embed(samples)
    assert embedding.dtype == np.float32
    assert np.linalg.norm(embedding) == pytest.approx(1.0, abs=1e-5)


def test_arrays_of_any_form_are_the_same_recording_and_others_are_refused(
    guard: voiceguard.Guard,
) -> None:
    samples = load_audio(TAKES[3])
    pcm = np.round(samples * 32767).astype(np.int16)
    embedding, judgement = guard.embed(samples), guard.verify("robin", samples)
    stereo = np.stack([samples, samples], axis=1)
    for same in (pcm, stereo, samples.astype(np.float64), samples.tolist()):
        assert guard.embed(same) @ embedding > 0.9995
    assert guard.verify("robin", stereo) == judgement
    for other in (pcm.astype(np.int64), samples > 0, samples.astype(complex), None, ["a"]):
        with pytest.raises(voiceguard.VoiceguardError, match="can't be heard") as caught:
            guard.verify("robin", other)  # type: ignore[arg-type]
        assert caught.value.hint


def test_enrolling_needs_consent_and_never_overwrites_unasked(guard: voiceguard.Guard) -> None:
    with pytest.raises(EnrollmentError, match="consented"):
        guard.enroll("someone", TAKES, consent=False)
    with pytest.raises(VoiceprintError, match="already enrolled"):
        guard.enroll("robin", TAKES, consent=True)


def test_audio_is_kept_only_where_the_speaker_agreed(tmp_path: Path) -> None:
    guard = voiceguard.open_guard(state_dir=str(tmp_path))
    store = VoiceprintStore(tmp_path)
    assert store.load_audio(guard.enroll("robin", TAKES[:3], consent=True)) is None
    kept = store.load_audio(
        guard.enroll("robin", TAKES[:3], consent=True, overwrite=True, keep_audio=True)
    )
    assert kept is not None
    seconds = [len(load_audio(take, 0)) / SAMPLE_RATE_HZ for take in TAKES[:3]]
    assert [take.seconds for take in kept.takes] == seconds


def test_a_speaker_who_is_not_enrolled_is_named(guard: voiceguard.Guard) -> None:
    with pytest.raises(VoiceprintError, match=r"no voiceprint of 'nobody'"):
        guard.verify("nobody", TAKES[0])


def test_importing_the_package_does_not_import_torch() -> None:
    """``voiceguard --help`` and shell completion answer at once."""
    code = "import sys, voiceguard.cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


async def test_listen_calls_back_with_every_decision(tmp_path: Path) -> None:
    settings = load_settings(
        state_dir=str(tmp_path),
        mqtt={"broker": "none"},
        audio={"sources": (f"file:{TAKES[0]}",), "paced": False},
    )
    decisions: list[voiceguard.Decision] = []
    await voiceguard.listen(decisions.append, settings)
    finals = [decision for decision in decisions if decision.is_final]
    assert finals
    assert {decision.reason for decision in finals} == {voiceguard.Reason.NO_VOICEPRINTS}


def test_the_package_shows_its_public_names_only() -> None:
    assert dir(voiceguard) == sorted(voiceguard.__all__)
    for name in voiceguard.__all__:
        getattr(voiceguard, name)
