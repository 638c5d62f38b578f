"""``voiceguard unlock status`` and ``reset``, ``voiceguard audit``, as they are typed."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from tests.cli.command import voiceguard
from voiceguard.cli.unlock.counters import reset
from voiceguard.clock import SystemClock, elapsed_s
from voiceguard.unlock.counters import moment_at
from voiceguard.unlock.records import Records

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = """
[unlock.actions.front-door]
speakers = ["anna"]
level = "voice"
i_accept_the_risk = true
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "voiceguard.toml"
    path.write_text(SETTINGS)
    return path


@pytest.fixture
def records(tmp_path: Path) -> Records:
    voiceguard("unlock", "keys", state=tmp_path)
    clock = SystemClock()
    return Records(tmp_path, lambda: moment_at(elapsed_s(clock)))


def test_failures_are_shown_and_forgotten(tmp_path: Path, config: Path, records: Records) -> None:
    for _ in range(4):
        records.fail("front-door", {})
    shown = voiceguard("unlock", "status", "--json", "--config", config, state=tmp_path)
    row = json.loads(shown.stdout)
    assert row["failures"] == 4
    assert row["state"].startswith("locked out for ")
    table = voiceguard("unlock", "status", "--config", config, state=tmp_path)
    assert "front-door" in table.stdout
    wrong = voiceguard("unlock", "reset", "garage", "--config", config, state=tmp_path)
    assert (wrong.returncode, "there is no action 'garage'" in wrong.stderr) == (2, True)
    assert voiceguard("unlock", "reset", state=tmp_path).returncode == 2
    done = voiceguard("unlock", "reset", "front-door", "--config", config, state=tmp_path)
    assert done.returncode == 0, done.stderr
    assert records.counters.read().of("front-door").num_failures == 0
    listed = voiceguard("audit", "show", "--json", "-n", "1", state=tmp_path)
    assert json.loads(listed.stdout)["event"] == "reset"


def test_lost_counters_are_an_error_until_everything_is_reset(
    tmp_path: Path, config: Path, records: Records
) -> None:
    records.counters.path.unlink()
    lost = voiceguard("unlock", "status", "--config", config, state=tmp_path)
    assert lost.returncode == 1
    assert "reset --all" in lost.stderr
    voiceguard("unlock", "keys", state=tmp_path)  # makes no new ones
    assert not records.counters.path.exists()
    assert voiceguard("unlock", "reset", "--all", state=tmp_path).returncode == 0
    assert voiceguard("unlock", "status", "--config", config, state=tmp_path).returncode == 0


def test_a_log_that_was_cut_or_changed_does_not_verify(tmp_path: Path, records: Records) -> None:
    for _ in range(3):
        records.fail("front-door", {})
    whole = records.audit.path.read_bytes()
    right = voiceguard("audit", "verify", state=tmp_path)
    assert right.returncode == 0
    records.audit.path.write_bytes(b"".join(whole.splitlines(keepends=True)[:-1]))
    cut = voiceguard("audit", "verify", state=tmp_path)
    assert (cut.returncode, "cut off" in cut.stderr) == (1, True)
    records.audit.path.write_bytes(whole.replace(b"attempt_failed", b"attempt_fooled", 1))
    changed = voiceguard("audit", "verify", state=tmp_path)
    assert (changed.returncode, "was changed" in changed.stderr) == (1, True)
    records.audit.path.write_bytes(whole)
    head = right.stdout.strip()
    assert voiceguard("audit", "verify", "--head", head, state=tmp_path).returncode == 0
    assert voiceguard("audit", "verify", "--head", "ab" * 32, state=tmp_path).returncode == 1


def test_where_the_machine_has_no_name_for_its_user_a_reset_is_noted_by_number(
    tmp_path: Path, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container that runs as whatever number it is given."""
    monkeypatch.setattr(os, "getuid", lambda: 54321)
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    reset(everything=True, state_dir=tmp_path)
    *_, (entry, _) = records.audit.entries()
    assert (entry["event"], entry["by"]) == ("reset", "uid 54321")
