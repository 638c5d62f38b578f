"""Every check says what is wrong and how to mend it, and leaves everything as it was."""

from __future__ import annotations

import os
import stat
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.services import free_port
from voiceguard.mqtt.config import MqttConfig
from voiceguard.paths import default_key_file, history_file, voiceprints_dir
from voiceguard.service.checks import doctor
from voiceguard.service.checks.check import Check, Status
from voiceguard.service.checks.doctor import (
    check_broker_reachable,
    check_config,
    check_history,
    check_python,
    check_runtimes,
    check_state_dir,
    check_voiceprints,
    examine,
)
from voiceguard.service.checks.speech import check_speech_judge
from voiceguard.settings import Settings
from voiceguard.speech.vad import VadConfig
from voiceguard.speech.vad.silero import open_session
from voiceguard.types import Template, Voiceprint
from voiceguard.voiceprints.store import VoiceprintStore

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 5, tzinfo=UTC)

needs_permissions = pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")


def settings_in(state: Path, **tables: Any) -> Settings:  # noqa: ANN401
    return Settings(state_dir=str(state), **tables)


def enroll(state: Path, speaker: str, encoder_id: str = "a" * 16) -> None:
    template = Template(
        embedding=np.eye(8, dtype=np.float32)[0], net_speech_s=8, snr_db=30, created_at=NOW
    )
    voiceprint = Voiceprint(
        speaker=speaker,
        display_name=speaker,
        encoder_id=encoder_id,
        templates=(template,),
        consent_at=NOW,
        created_at=NOW,
        updated_at=NOW,
    )
    VoiceprintStore(state).save(voiceprint)


def statuses(checks: list[Check]) -> list[tuple[str, Status]]:
    return [(check.name, check.status) for check in checks]


# --- program and configuration --------------------------------------------------------------


def test_the_program_and_its_runtimes_are_here() -> None:
    assert check_python().status is Status.OK
    found = check_runtimes()
    assert found.status is Status.OK
    assert found.detail.startswith("onnxruntime ")


def test_torch_is_not_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_version", {"onnxruntime": "1.32.0"}.get)
    found = check_runtimes()
    assert found.status is Status.OK
    assert found.detail == "onnxruntime 1.32.0; torch is not installed, and not needed"

    monkeypatch.setattr(doctor, "_version", {}.get)
    assert check_runtimes().status is Status.FAIL


def test_a_right_configuration_is_named(tmp_path: Path) -> None:
    path = tmp_path / "voiceguard.toml"
    path.write_text('[mqtt]\nbroker = "none"\n', encoding="utf-8")

    check, settings = check_config(path, {})

    assert (check.status, check.detail) == (Status.OK, str(path))
    assert settings is not None
    assert settings.mqtt.broker == "none"


def test_a_typo_in_the_configuration_is_named_and_nothing_is_tested_with_defaults(
    tmp_path: Path,
) -> None:
    path = tmp_path / "voiceguard.toml"
    path.write_text('[mqtt]\nbrocker = "none"\n', encoding="utf-8")

    check, settings = check_config(path, {})

    assert check.status is Status.FAIL
    assert "brocker" in check.detail
    assert str(path) in check.remedy
    assert settings is None
    looked = {each.name: each.status for each in examine(path, {})}
    assert looked.pop("program") is looked.pop("runtimes") is Status.OK
    assert looked.pop("configuration") is Status.FAIL
    assert len(looked) == 9
    assert set(looked.values()) == {Status.SKIP}


# --- state ----------------------------------------------------------------------------------


def test_a_state_directory_that_is_not_there_yet_is_fine_and_not_made(tmp_path: Path) -> None:
    state = tmp_path / "a" / "b"

    assert check_state_dir(settings_in(state)).status is Status.OK
    assert not state.exists()


def test_a_state_directory_open_to_others_is_a_warning_with_the_command_against_it(
    tmp_path: Path,
) -> None:
    tmp_path.chmod(0o755)

    check = check_state_dir(settings_in(tmp_path))

    assert (check.status, check.remedy) == (Status.WARN, f"chmod 700 {tmp_path}")


@needs_permissions
def test_a_state_directory_of_somebody_else_fails(tmp_path: Path) -> None:
    tmp_path.chmod(stat.S_IRUSR)

    assert check_state_dir(settings_in(tmp_path / "state")).status is Status.FAIL


def test_a_file_in_the_state_directorys_place_fails(tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.touch(mode=0o700)

    assert check_state_dir(settings_in(path)).status is Status.FAIL


def test_before_the_first_enrollment_nothing_is_wrong_but_nobody_is_known(tmp_path: Path) -> None:
    checks = list(check_voiceprints(settings_in(tmp_path), "a" * 16))

    assert statuses(checks) == [("key", Status.OK), ("voiceprints", Status.WARN)]
    assert list(tmp_path.iterdir()) == []


def test_readable_voiceprints_are_named(tmp_path: Path) -> None:
    enroll(tmp_path, "anna")
    enroll(tmp_path, "ben")

    checks = list(check_voiceprints(settings_in(tmp_path), "a" * 16))

    assert statuses(checks) == [("key", Status.OK), ("voiceprints", Status.OK)]
    assert "anna, ben" in checks[1].detail


def test_one_bad_voiceprint_fails_by_name_beside_the_good_ones(tmp_path: Path) -> None:
    enroll(tmp_path, "anna")
    enroll(tmp_path, "ben", encoder_id="b" * 16)

    checks = list(check_voiceprints(settings_in(tmp_path), "a" * 16))

    assert statuses(checks) == [
        ("key", Status.OK),
        ("voiceprints", Status.OK),
        ("voiceprints", Status.FAIL),
    ]
    assert "'ben'" in checks[2].detail
    assert "enroll" in checks[2].remedy


@pytest.mark.parametrize("fault", ["missing", "open", "another", "garbage"])
def test_a_key_that_is_not_right_fails(fault: str, tmp_path: Path) -> None:
    enroll(tmp_path, "anna")
    key = default_key_file(tmp_path)
    if fault == "missing":
        key.unlink()
    elif fault == "open":
        key.chmod(0o644)
    else:
        key.write_text("0" * 64 if fault == "another" else "hello", encoding="ascii")

    checks = list(check_voiceprints(settings_in(tmp_path), "a" * 16))

    assert statuses(checks) == [("key", Status.FAIL)]
    assert checks[0].remedy


def test_a_history_that_is_not_there_is_fine(tmp_path: Path) -> None:
    assert check_history(settings_in(tmp_path)).status is Status.OK
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_history_is_a_warning_and_left_as_it_is(tmp_path: Path) -> None:
    path = history_file(tmp_path)
    path.write_bytes(b"not a database" * 100)

    check = check_history(settings_in(tmp_path))

    assert check.status is Status.WARN
    assert path.read_bytes() == b"not a database" * 100
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_voiceprints_directory_is_not_made_by_looking(tmp_path: Path) -> None:
    list(check_voiceprints(settings_in(tmp_path), None))

    assert not voiceprints_dir(tmp_path).exists()


# --- broker ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("broker", "status"), [("none", Status.OK), ("embedded", Status.WARN)])
def test_without_a_broker_of_its_own_nothing_is_asked(
    broker: str, status: Status, tmp_path: Path
) -> None:
    settings = settings_in(tmp_path, mqtt=MqttConfig(broker=broker))

    assert check_broker_reachable(settings).status is status


def test_a_broker_that_is_not_there_fails_with_what_to_do(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, mqtt=MqttConfig(broker=f"mqtt://127.0.0.1:{free_port()}"))

    check = check_broker_reachable(settings)

    assert check.status is Status.FAIL
    assert "running" in check.remedy


def test_a_judge_of_speech_that_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_session.cache_clear()
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    found = {
        backend: check_speech_judge(settings_in(tmp_path, vad=VadConfig(backend=backend)))
        for backend in ("cascade", "energy", "silero")
    }
    assert [check.status for check in found.values()] == [Status.WARN, Status.OK, Status.FAIL]
    assert "energy alone" in found["cascade"].detail
    assert "silero-vad" in found["cascade"].remedy
