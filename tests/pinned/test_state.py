"""A state directory that older code wrote still opens: who was enrolled need not come again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.pinned import inside
from tests.pinned.product import (
    EXPORTED,
    MODEL,
    PASSPHRASE,
    check,
    copy_of_state,
    masked,
    plain,
    said,
    voiceguard,
)
from tests.pinned.sounds import SPEAKERS, utterance, write_wav
from voiceguard.types import Reason

if TYPE_CHECKING:
    from pathlib import Path

KEEP_HISTORY = {"VOICEGUARD_HISTORY__MAX_AGE_DAYS": "3650"}


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return copy_of_state(tmp_path)


def spoken(folder: Path, speaker: str, number: int = 5) -> Path:
    """What that speaker says, none of what was enrolled."""
    return write_wav(folder / f"{speaker}.wav", utterance(SPEAKERS[speaker], number, 4.0))


def test_everybody_is_listed_and_shown(state: Path) -> None:
    """Also those of an encoder that may no longer be shipped."""
    rows = said("voiceprints", "list", state=state)
    assert [row["speaker"] for row in rows] == sorted(SPEAKERS)
    check("voiceprints-list.json", rows)
    shown = [said("voiceprints", "show", name, state=state) for name in sorted(SPEAKERS)]
    check("voiceprints-show.json", shown)
    plainly = voiceguard("voiceprints", "list", state=state)
    assert plainly.returncode == 0
    assert all(name.title() in plainly.stdout for name in SPEAKERS)


def test_the_enrolled_are_recognised_and_others_are_not(state: Path, tmp_path: Path) -> None:
    """Exit codes 0 and 3."""
    loose = {"VOICEGUARD_POLICY__P_FA": "0.05"}
    wav = spoken(tmp_path, "ada")
    model = ("--model", MODEL)
    accepted = said("verify", "ada", wav, *model, state=state, settings=loose)
    other = said("verify", "ben", wav, *model, state=state, code=3, settings=loose)
    check("verify.json", masked([accepted, other], {"file": "(any)"}))


def test_an_imported_encoder_is_used_and_has_no_calibration(state: Path, tmp_path: Path) -> None:
    """Exit code 4."""
    wav = spoken(tmp_path, "eve")
    found = said("verify", "eve", wav, "--model", "small", state=state, code=4)
    assert (found["outcome"], found["reason"]) == ("inconclusive", "uncalibrated")
    assert found["scores"][0]["cosine"] > 0.9


def test_a_voiceprint_of_another_encoder_is_refused_in_a_sentence(
    state: Path, tmp_path: Path
) -> None:
    """Of the default encoder of its day: judged while that is shipped, and refused ever after."""
    wav = spoken(tmp_path, "dora")
    made_by = said("voiceprints", "show", "dora", state=state)["encoder_id"]
    refusals = [voiceguard("verify", "dora", wav, "--model", MODEL, state=state)]
    with_default = voiceguard("verify", "dora", wav, "--json", state=state)
    if said("models", "info", "default", state=state)["encoder_id"] == made_by:
        assert with_default.returncode in {0, 3, 4}, with_default.stderr
        assert json.loads(with_default.stdout)["encoder_id"] == made_by
    else:
        refusals.append(with_default)
    for refused in refusals:
        assert refused.returncode == 1
        assert f"the voiceprint of 'dora' was made by encoder {made_by}" in plain(refused.stderr)
        assert "hint:" in refused.stderr


def test_kept_audio_makes_a_voiceprint_of_another_encoder(state: Path, tmp_path: Path) -> None:
    """Whichever is shipped; without audio one is told to enroll again."""
    model = ("--model", MODEL)
    done = voiceguard("voiceprints", "migrate", "cleo", "dora", *model, state=state)
    assert done.returncode == 1
    assert "dora" in done.stdout + done.stderr
    tiny = said("models", "info", MODEL, state=state)["encoder_id"]
    made_by = {
        name: said("voiceprints", "show", name, state=state)["encoder_id"]
        for name in ("cleo", "dora")
    }
    assert made_by["cleo"] == tiny != made_by["dora"]
    judged = voiceguard("verify", "cleo", spoken(tmp_path, "cleo"), *model, state=state)
    assert judged.returncode in {0, 3, 4}, judged.stderr


def test_the_history_is_read_and_explained(state: Path) -> None:
    """One decision of every kind there was then, newest first, as JSON and in words for people."""
    done = voiceguard("history", "--json", "--last", "100", state=state, settings=KEEP_HISTORY)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    kinds = {(row["outcome"], row["reason"]) for row in rows}
    later = {Reason.NOT_ALLOWED, Reason.HARDLY_SPEECH}
    assert kinds == {each for each in inside.all_kinds() if each[1] not in later}
    check("history.json", rows)


def test_an_export_is_imported_elsewhere(state: Path, tmp_path: Path) -> None:
    secret = tmp_path / "passphrase"
    secret.write_text(PASSPHRASE + "\n", encoding="utf-8")
    there = tmp_path / "elsewhere"
    in_use = {"VOICEGUARD_ENCODER__MODEL": str(MODEL)}
    asked = ("voiceprints", "import", EXPORTED, "--passphrase-file", secret)
    rows: list[dict[str, Any]] = said(*asked, state=there, settings=in_use)
    assert [row["speaker"] for row in rows] == ["ada", "cleo"]
    assert [row["has_audio"] for row in rows] == [False, True]
    for name in ("ada", "cleo"):
        shown = [said("voiceprints", "show", name, state=each) for each in (state, there)]
        assert shown[0] == shown[1]
    secret.write_text("eine andere als vorhin\n", encoding="utf-8")
    wrong = voiceguard(*asked, state=tmp_path / "third")
    assert wrong.returncode == 1
    assert "the passphrase is not the one" in plain(wrong.stderr)
