"""The demo's scene, how decisions are matched with what was said, and what makes it fail."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from voiceguard.audio.config import AudioConfig
from voiceguard.audio.files import load_audio
from voiceguard.demo.household import Heard, demo_settings, match, summarise
from voiceguard.demo.scene import FOLDER, Said, Scene, fan_noise, load_scene
from voiceguard.scoring.policy import PolicyConfig
from voiceguard.types import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from pathlib import Path

ROBIN = Said(start_s=1.0, end_s=4.0, who="Robin", text="Hello.", is_enrolled=True)
STRANGER = Said(start_s=6.0, end_s=9.0, who="stranger", text="Open.", is_enrolled=False)
FAN = Said(start_s=11.0, end_s=14.0, who="", text="(a fan)", is_enrolled=False)
SCENE = Scene(
    speaker="robin",
    display_name="Robin",
    takes=(),
    samples=np.zeros(15 * SAMPLE_RATE_HZ, dtype=np.float32),
    said=(ROBIN, STRANGER, FAN),
)
DELIVERED_AT = datetime(2026, 11, 5, 17, 20, 1, 250_000, tzinfo=UTC)


def heard(start_s: float, end_s: float, outcome: str = "unknown", **fields: Any) -> Heard:  # noqa: ANN401
    """A final decision received 30 ms after its last sample, unless the fields say otherwise."""
    payload = {
        "decision_id": f"{start_s}",
        "is_final": True,
        "outcome": outcome,
        "reason": "above_threshold" if outcome == "accepted" else "below_threshold",
        "speaker": "robin" if outcome == "accepted" else None,
        "scores": [{"speaker": "robin", "llr": 2.5}],
        "accept_llr": 3.14,
        "start_s": start_s,
        "end_s": end_s,
        "delivered_at": "2026-11-05T17:20:01.250Z",
        **fields,
    }
    return Heard(payload, DELIVERED_AT + timedelta(milliseconds=30))


# --- the scene that is shipped --------------------------------------------------------------


@pytest.fixture(scope="module")
def shipped() -> Scene:
    return load_scene()


def test_the_shipped_scene_is_short_and_has_everything_to_be_told_apart(shipped: Scene) -> None:
    assert shipped.duration_s <= 40
    sentences = [item for item in shipped.said if item.who and item.end_s - item.start_s > 1]
    assert sum(item.is_enrolled for item in sentences) >= 2
    assert len({item.who for item in sentences if not item.is_enrolled}) >= 3
    assert any(item.is_enrolled and item.end_s - item.start_s < 0.8 for item in shipped.said)
    assert {item.text for item in shipped.said if not item.who} == {"(a fan runs)", "(silence)"}


def test_the_shipped_scene_is_said_where_it_claims(shipped: Scene) -> None:
    for item in shipped.said:
        first, stop = round(item.start_s * SAMPLE_RATE_HZ), round(item.end_s * SAMPLE_RATE_HZ)
        inside = shipped.samples[first:stop]
        before = shipped.samples[first - SAMPLE_RATE_HZ // 2 : first]
        is_louder = np.sqrt(np.mean(inside**2)) > 5 * np.sqrt(np.mean(before**2))
        assert is_louder is np.bool_(item.text != "(silence)"), item.text


def test_the_shipped_scene_is_neither_clipped_nor_ever_digitally_silent(shipped: Scene) -> None:
    assert np.abs(shipped.samples).max() < 1
    frames = shipped.samples[: len(shipped.samples) // 160 * 160].reshape(-1, 160)
    assert np.all(np.abs(frames).max(axis=1) > 0)


def test_the_scene_is_the_same_every_time(shipped: Scene) -> None:
    np.testing.assert_array_equal(load_scene().samples, shipped.samples)


def test_the_enrollment_takes_are_no_more_than_30_s_of_speech(shipped: Scene) -> None:
    total_s = sum(len(load_audio(take)) for take in shipped.takes) / SAMPLE_RATE_HZ
    assert 10 <= total_s <= 30


def test_what_is_shipped_is_small_and_complete() -> None:
    recordings = {path.name for path in FOLDER.glob("*.opus")}
    script = json.loads((FOLDER / "scene.json").read_text(encoding="utf-8"))
    named = {
        item["file"] for item in script["scene"] + script["enrolled"]["takes"] if "file" in item
    }

    assert recordings == named
    assert sum((FOLDER / name).stat().st_size for name in named) < 600_000
    assert (FOLDER / "LICENSE.txt").is_file()


def test_fan_noise_has_the_level_asked_for_and_no_rumble() -> None:
    noise = fan_noise(np.random.default_rng(1), 2.0, -42.0)

    assert 20 * np.log10(np.sqrt(np.mean(noise**2))) == pytest.approx(-42, abs=0.1)
    power = np.abs(np.fft.rfft(noise)) ** 2
    frequency_hz = np.fft.rfftfreq(len(noise), 1 / SAMPLE_RATE_HZ)
    assert power[frequency_hz < 50].sum() < 1e-6 * power.sum()


# --- matching and verdict -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start_s", "end_s", "about"),
    [
        (1.0, 4.0, ROBIN),
        (0.7, 4.4, ROBIN),  # pre-roll and hangover
        (2.0, 2.5, ROBIN),
        (5.0, 9.0, STRANGER),
        (3.5, 8.5, STRANGER),  # more of the second
        (4.3, 4.6, ROBIN),  # silence, shortly after
        (4.9, 5.1, None),  # silence, close to nothing
        (11.2, 12.5, FAN),
    ],
)
def test_a_decision_is_about_what_it_overlaps_with_most(
    start_s: float, end_s: float, about: Said | None
) -> None:
    assert match(heard(start_s, end_s), SCENE.said) == about


def test_an_empty_scene_matches_nothing() -> None:
    assert match(heard(0, 1), ()) is None


def test_the_demo_succeeds_when_the_enrolled_voice_is_accepted_and_nobody_else() -> None:
    decisions = [heard(1, 4, "accepted"), heard(6, 9), heard(11, 12, "inconclusive")]

    summary = summarise(SCENE, decisions)

    assert summary.is_success
    assert (summary.num_enrolled, summary.num_accepted, summary.num_decisions) == (1, 1, 3)
    assert summary.latency_ms == pytest.approx((30, 30))


def test_the_demo_fails_when_the_enrolled_voice_was_never_accepted() -> None:
    assert not summarise(SCENE, [heard(1, 4, "inconclusive"), heard(6, 9)]).is_success


def test_the_demo_fails_when_nothing_was_heard_at_all() -> None:
    summary = summarise(SCENE, [])

    assert not summary.is_success
    assert summary.latency_ms is None


@pytest.mark.parametrize(
    "wrong",
    [
        heard(6, 9, "accepted"),
        heard(6, 7, "accepted", is_final=False),  # a consumer may have acted on it
        heard(11, 12, "accepted"),
        heard(4.9, 5.1, "accepted"),  # nobody spoke
        heard(1, 4, "accepted", speaker="somebody-else"),
    ],
)
def test_the_demo_fails_on_any_other_accept(wrong: Heard) -> None:
    summary = summarise(SCENE, [heard(1, 4, "accepted"), wrong])

    assert summary.false_accepts == (wrong,)
    assert not summary.is_success


def test_an_accept_that_was_not_final_is_not_enough() -> None:
    decisions = [heard(1, 2, "accepted", is_final=False), heard(1, 4, "inconclusive")]

    assert summarise(SCENE, decisions).num_accepted == 0


def test_an_utterance_too_short_to_judge_is_told_apart() -> None:
    summary = summarise(SCENE, [heard(1, 4, "inconclusive", reason="too_short")])

    assert (summary.num_accepted, summary.num_too_short) == (0, 1)


def test_an_utterance_that_was_cut_in_two_counts_once() -> None:
    decisions = [heard(1, 2.4, "accepted"), heard(2.5, 4, "accepted")]

    assert summarise(SCENE, decisions).num_accepted == 1


# --- the settings ---------------------------------------------------------------------------


def test_the_policy_is_the_shipped_one_whatever_this_machine_is_configured_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOICEGUARD_POLICY__P_FA", "0.02")
    monkeypatch.setenv("VOICEGUARD_STATE_DIR", "/somewhere/else")

    settings = demo_settings(tmp_path, AudioConfig(), "mqtt://127.0.0.1:2")

    assert settings.policy == PolicyConfig()
    assert settings.state_dir == str(tmp_path)
