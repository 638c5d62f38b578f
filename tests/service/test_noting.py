"""Rules that have changed are an entry of the audit log, where one is kept."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from structlog.testing import capture_logs

from tests.fakes import FakeClock
from voiceguard.audit.log import AuditLog
from voiceguard.paths import audit_file
from voiceguard.people.config import PeopleConfig, Rule
from voiceguard.service.noting import note_policy, policy_in_force
from voiceguard.settings import Settings
from voiceguard.unlock.setup import make_key

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

NIGHT = PeopleConfig(rules={"night": Rule(hours="22:00-06:00")})


async def started(state: Path, people: PeopleConfig) -> list[dict[str, Any]]:
    """What the log holds of policies after a start."""
    with ThreadPoolExecutor(1) as executor:
        await note_policy(Settings(people=people), state, executor, FakeClock())
    entries = [entry for entry, _ in AuditLog(audit_file(state)).entries()]
    return [entry["policy"]["people"] for entry in entries if entry["event"] == "policy_changed"]


async def test_each_change_is_noted_once_with_a_hash_of_all_of_it(tmp_path: Path) -> None:
    make_key(tmp_path)
    assert [each["rules"] for each in await started(tmp_path, NIGHT)] == [["night"]]
    assert len(await started(tmp_path, NIGHT)) == 1
    longer = PeopleConfig(rules={"night": Rule(hours="21:00-06:00")})
    first, second = await started(tmp_path, longer)
    assert first["rules"] == second["rules"]
    assert first["sha256"] != second["sha256"]
    assert [each["rules"] for each in await started(tmp_path, PeopleConfig())][-1] == []


async def test_where_no_log_is_kept_none_is_begun(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as executor:
        await note_policy(Settings(people=NIGHT), tmp_path, executor, FakeClock())
    assert not audit_file(tmp_path).exists()


async def test_a_log_that_cannot_be_written_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_key(tmp_path)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.pwrite", full)
    with capture_logs() as logs:
        assert await started(tmp_path, NIGHT) == []
    assert [each["event"] for each in logs] == ["policy_not_noted"]


def test_every_setting_of_people_is_in_the_hash() -> None:
    def digest(people: PeopleConfig) -> str:
        return str(policy_in_force(Settings(people=people))["people"]["sha256"])

    changed = [
        PeopleConfig(),
        PeopleConfig(adult=("anna",)),
        PeopleConfig(timezone="Europe/Berlin"),
        PeopleConfig(actions=("heating",)),
        NIGHT,
        PeopleConfig(rules={"night": Rule(hours="22:00-06:00", p_fa=0.001)}),
    ]
    assert len({digest(each) for each in changed}) == len(changed)
