"""Who is known, as of the last look; and when nobody can be, why, and what to do about it."""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from structlog.testing import capture_logs

from tests.fakes import PitchEncoder, make_voiceprint, tone
from tests.voiceprints.people import make_audio, make_person
from voiceguard.people.config import PeopleConfig, Rule
from voiceguard.service.kit import Kit
from voiceguard.service.roster import Roster
from voiceguard.settings import Settings
from voiceguard.voiceprints import VoiceprintStore

if TYPE_CHECKING:
    from pathlib import Path

    from voiceguard.types import Voiceprint
    from voiceguard.voiceprints import Generation, LoadedVoiceprints


async def test_voiceprints_of_another_encoder_are_a_fault_that_says_the_way_on(
    tmp_path: Path,
) -> None:
    store = VoiceprintStore(tmp_path, environ={})
    anna = make_person("anna")
    store.save(anna, audio=make_audio(anna))
    kit = Kit(settings=Settings(), encoder=PitchEncoder("e" * 16), cohort=None, calibration=None)
    with ThreadPoolExecutor(1) as executor:
        roster = Roster(kit, store, executor)
        await roster.refresh()
    assert roster.speakers == ()
    assert "the voiceprint of 'anna' was made by encoder 0123456789abcdef" in roster.fault
    assert "`voiceguard voiceprints migrate anna`" in roster.fault
    assert 'model = "/path/old.safetensors"' in roster.fault


def roster_of(store: VoiceprintStore, executor: ThreadPoolExecutor, **options: float) -> Roster:
    kit = Kit(settings=Settings(), encoder=PitchEncoder(), cohort=None, calibration=None)
    return Roster(kit, store, executor, **options)


def known(roster: Roster) -> list[str]:
    """Who could be accepted."""
    assert tuple(name for name, _ in roster.speakers) == roster.judge.scorer.speakers
    return list(roster.judge.scorer.speakers)


def person(speaker: str, hz: float = 300.0) -> Voiceprint:
    return make_voiceprint(speaker, PitchEncoder().embed(tone(hz, 1.0)))


async def test_what_is_no_file_in_the_store_is_refused_by_name_and_the_rest_go_on(
    tmp_path: Path,
) -> None:
    """Nobody waits for a FIFO, a loop of links or a name in no alphabet."""
    store = VoiceprintStore(tmp_path, environ={})
    store.save(person("anna"))
    os.mkfifo(store.directory / "bob.voiceprint")
    (store.directory / "carl.voiceprint").symlink_to("carl.voiceprint")
    (store.directory / "dora.voiceprint").symlink_to("/dev/zero")
    (store.directory / "emil.voiceprint").mkdir()
    (store.directory / os.fsdecode(b"\xff.voiceprint")).symlink_to("carl.voiceprint")
    with ThreadPoolExecutor(1) as executor:
        roster = roster_of(store, executor)
        assert await asyncio.wait_for(roster.refresh(), 5)
        store.remove("anna")
        assert await asyncio.wait_for(roster.refresh(), 5)
    assert roster.speakers == ()
    reasons = {refusal.speaker: refusal.reason for refusal in roster.refusals}
    assert set(reasons) == {"bob", "carl", "dora", "emil", "\\xff"}
    for name, kind in {"bob": "a FIFO", "dora": "a device", "emil": "a directory"}.items():
        assert kind in reasons[name]


async def test_a_key_that_was_deleted_leaves_nobody_to_accept(tmp_path: Path) -> None:
    store = VoiceprintStore(tmp_path, environ={})
    store.save(person("anna"))
    with ThreadPoolExecutor(1) as executor:
        roster = roster_of(store, executor)
        await roster.refresh()
        assert known(roster) == ["anna"]
        chosen = replace(roster.judge.policy, p_fa=0.003)
        roster.use_policy(chosen)
        secret = store.key_path.read_bytes()
        store.key_path.unlink()
        assert await roster.refresh()
        assert known(roster) == []
        assert roster.judge.policy == chosen, "what decisions say that they were made at"
        assert f"the key file {store.key_path} is missing" in roster.fault
        store.key_path.touch(mode=0o600)
        store.key_path.write_bytes(secret)
        assert await roster.refresh()
    assert known(roster) == ["anna"]
    assert roster.fault == ""


class HangingStore(VoiceprintStore):
    """A store on a network mount; while it is gone, whoever looks waits."""

    def __init__(self, state: Path) -> None:
        super().__init__(state, environ={})
        self.answers = threading.Event()
        self.answers.set()
        self.num_looks = 0

    def generation(self) -> Generation:
        self.num_looks += 1
        self.answers.wait()
        return super().generation()


async def test_a_store_that_does_not_answer_leaves_nobody_to_accept(tmp_path: Path) -> None:
    """And is waited for by one thread, however often it is looked at."""
    store = HangingStore(tmp_path)
    store.save(person("anna"))
    with ThreadPoolExecutor(1) as executor:
        roster = roster_of(store, executor, timeout_s=0.3)
        await roster.refresh()
        assert known(roster) == ["anna"]
        store.answers.clear()
        num_looks = store.num_looks
        assert await roster.refresh()
        assert known(roster) == []
        assert "no answer for 0.3 s" in roster.fault
        assert not await roster.refresh()
        assert not await roster.refresh(force=True)
        assert store.num_looks == num_looks + 1
        store.answers.set()
        async with asyncio.timeout(5):
            while roster.fault:
                await roster.refresh()
    assert known(roster) == ["anna"]


class BrokenStore(VoiceprintStore):
    def load_all(self, *, encoder_id: str | None = None) -> LoadedVoiceprints:
        raise RecursionError(f"of {encoder_id}")


async def test_what_nobody_expected_of_the_store_is_a_fault_and_not_the_end(
    tmp_path: Path,
) -> None:
    with ThreadPoolExecutor(1) as executor:
        roster = roster_of(BrokenStore(tmp_path, environ={}), executor)
        assert await roster.refresh()
    assert "RecursionError" in roster.fault


async def test_voiceprints_that_nothing_can_be_compared_with_do_not_end_the_others(
    tmp_path: Path,
) -> None:
    """Sealed with the right key, of the right encoder by name: an import can bring such."""
    store = VoiceprintStore(tmp_path, environ={})
    store.save(person("anna"))
    wide = np.zeros(64, dtype=np.float32)
    wide[0] = 1.0
    store.save(make_voiceprint("bob", wide))
    opposite = person("carl").templates[0]
    carl = replace(
        person("carl"), templates=(opposite, replace(opposite, embedding=-opposite.embedding))
    )
    store.save(carl)
    with ThreadPoolExecutor(1) as executor:
        roster = roster_of(store, executor)
        await roster.refresh()
    assert known(roster) == ["anna"]
    reasons = {refusal.speaker: refusal.reason for refusal in roster.refusals}
    assert set(reasons) == {"bob", "carl"}
    assert "embeddings of 64 numbers, the encoder's have 32" in reasons["bob"]


async def test_nobody_is_accepted_while_a_rule_names_somebody_who_was_never_enrolled(
    tmp_path: Path,
) -> None:
    """Whom a misspelt name means would go by no rule; once it is enrolled, all is well."""
    store = VoiceprintStore(tmp_path, environ={})
    store.save(person("anna"))
    people = PeopleConfig(child=("mai",), rules={"children": Rule(who=("child",), days="mon")})
    kit = Kit(
        settings=Settings(people=people), encoder=PitchEncoder(), cohort=None, calibration=None
    )
    with ThreadPoolExecutor(1) as executor:
        roster = Roster(kit, store, executor)
        await roster.refresh()
        assert roster.judge.scorer.speakers == ()
        assert roster.fault == "people.child: 'mai' is not enrolled; known are: anna"
        store.save(person("mai", 700.0))
        await roster.refresh()
        assert (known(roster), roster.fault) == (["anna", "mai"], "")


async def test_somebody_removed_whom_a_rule_names_is_told_of_and_stops_nobody_else(
    tmp_path: Path,
) -> None:
    store = VoiceprintStore(tmp_path, environ={})
    store.save(person("anna"))
    store.save(person("mia", 700.0))
    people = PeopleConfig(rules={"mia": Rule(who=("mia",))})
    kit = Kit(
        settings=Settings(people=people), encoder=PitchEncoder(), cohort=None, calibration=None
    )
    with ThreadPoolExecutor(1) as executor, capture_logs() as logs:
        roster = Roster(kit, store, executor)
        await roster.refresh()
        store.remove("mia")
        await roster.refresh()
    assert (known(roster), roster.fault) == (["anna"], "")
    said = [each for each in logs if each["event"] == "rule_names_nobody"]
    assert [(each["speaker"], each["setting"]) for each in said] == [("mia", "people.rules.mia")]
