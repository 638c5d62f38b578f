"""``voiceguard voiceprints``: who is enrolled, what can't be used, and forgetting somebody."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.command import voiceguard
from tests.fakes import make_decision
from tests.voiceprints.people import ENCODER_ID, make_audio, make_person, make_voiceprint
from voiceguard.control.server import ControlCommand, ControlServer, NoParameters
from voiceguard.decisions.history import History
from voiceguard.decisions.wire import decision_payload
from voiceguard.voiceprints import VoiceprintStore

if TYPE_CHECKING:
    from pathlib import Path

    from voiceguard.control.connection import Connection


@pytest.fixture
def store(tmp_path: Path) -> VoiceprintStore:
    """Anna, who is fine, and Bob, whose file was cut short."""
    store = VoiceprintStore(tmp_path, environ={})
    for seed, name in enumerate(("anna", "bob")):
        store.save(make_voiceprint(name, seed=seed))
    bob = store.directory / "bob.voiceprint"
    bob.write_bytes(bob.read_bytes()[:100])
    return store


@pytest.mark.usefixtures("store")
def test_list_shows_who_is_enrolled_and_what_is_unusable(tmp_path: Path) -> None:
    result = voiceguard("voiceprints", "list", state=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "Anna Ærlig" in result.stdout
    assert "16.5 s" in result.stdout
    assert "unusable: the voiceprint of 'bob' is truncated" in result.stdout


@pytest.mark.usefixtures("store")
def test_list_as_json(tmp_path: Path) -> None:
    result = voiceguard("voiceprints", "list", "--json", state=tmp_path)
    anna, bob = map(json.loads, result.stdout.splitlines())
    assert (anna["speaker"], anna["readable"], anna["encoder_id"]) == ("anna", True, ENCODER_ID)
    assert len(anna["takes"]) == 3
    assert (bob["speaker"], bob["readable"]) == ("bob", False)
    assert "truncated" in bob["reason"]


@pytest.mark.usefixtures("store")
def test_show_tells_everything_but_the_numbers_of_the_voice(tmp_path: Path) -> None:
    result = voiceguard("voiceprints", "show", "anna", state=tmp_path)
    for word in ("Anna Ærlig", "consent given 2026-11-05", "kitchen", ENCODER_ID, "22 dB"):
        assert word in result.stdout
    assert (
        "embedding"
        not in voiceguard("voiceprints", "show", "anna", "--json", state=tmp_path).stdout
    )


def test_a_person_called_as_people_do_is_renamed_under_the_same_id(
    store: VoiceprintStore, tmp_path: Path
) -> None:
    told = voiceguard("voiceprints", "rename", "Anna", "Anna Maria", "--json", state=tmp_path)
    assert json.loads(told.stdout) == {"speaker": "anna", "display_name": "Anna Maria"}
    assert store.load("anna").display_name == "Anna Maria"
    said = voiceguard("voiceprints", "rename", "ANNA", "Änne", state=tmp_path)
    assert said.stdout == "anna is called Änne now\n"


@pytest.mark.usefixtures("store")
def test_show_says_why_it_cannot_and_who_is_there(tmp_path: Path) -> None:
    damaged = voiceguard("voiceprints", "show", "bob", state=tmp_path)
    assert damaged.returncode == 1
    assert "truncated" in damaged.stderr
    missing = voiceguard("voiceprints", "show", "carl", state=tmp_path)
    assert missing.returncode == 1
    assert "anna, bob" in missing.stderr
    assert voiceguard("voiceprints", "show", "../key", state=tmp_path).returncode == 2


def test_remove_forgets_the_voiceprint_and_the_decisions(
    tmp_path: Path, store: VoiceprintStore
) -> None:
    history = History(tmp_path / "history.sqlite3")
    history.append(decision_payload(make_decision()))
    history.close()
    asked = voiceguard("voiceprints", "remove", "anna", state=tmp_path)
    assert asked.returncode == 2, "nobody there to ask"
    assert store.names() == ("anna", "bob")
    result = voiceguard("voiceprints", "remove", "anna", "--yes", "--json", state=tmp_path)
    assert json.loads(result.stdout) == {"speaker": "anna", "removed": True, "num_decisions": 1}
    assert store.names() == ("bob",)
    assert history.recent() == []
    history.close()


async def test_what_a_daemon_decides_before_it_notices_is_forgotten_too(
    tmp_path: Path, store: VoiceprintStore
) -> None:
    history, speakers = History(tmp_path / "history.sqlite3"), ["anna"]

    async def look(_asked: NoParameters, _client: Connection) -> dict[str, Any]:
        assert store.names() == ("bob",)
        history.append(decision_payload(make_decision()))  # about Anna, who was just speaking
        asyncio.get_running_loop().call_later(0.3, speakers.clear)
        return {}

    async def status(_asked: NoParameters, _client: Connection) -> dict[str, Any]:
        return {"speakers": speakers}

    daemon = ControlServer(tmp_path, frozenset())
    daemon.add("reload", ControlCommand(NoParameters, look))
    daemon.add("status", ControlCommand(NoParameters, status))
    running = asyncio.create_task(daemon.run())
    words = ("voiceprints", "remove", "anna", "--yes", "--json")
    result = await asyncio.to_thread(voiceguard, *words, state=tmp_path)
    running.cancel()
    await asyncio.wait({running})
    assert json.loads(result.stdout)["num_decisions"] == 1, result.stderr
    assert history.recent() == []
    history.close()


def test_show_list_and_remove_know_of_kept_audio(tmp_path: Path, store: VoiceprintStore) -> None:
    anna = make_person("anna")
    store.save(anna, overwrite=True, audio=make_audio(anna))
    shown = voiceguard("voiceprints", "show", "anna", state=tmp_path).stdout
    assert "audio kept of 2 take(s): 3.0 s, " in shown
    assert " kB, encrypted; agreed to 2026-11-05" in shown
    payload = json.loads(voiceguard("voiceprints", "show", "anna", "--json", state=tmp_path).stdout)
    assert (payload["audio"]["num_takes"], payload["audio"]["seconds"]) == (2, 3.0)
    assert payload["audio"]["num_bytes"] == store.audio_bytes("anna")
    listed = voiceguard("voiceprints", "list", "--json", state=tmp_path).stdout.splitlines()
    assert json.loads(listed[0])["audio_bytes"] == store.audio_bytes("anna")
    file = store.directory / "anna.audio"
    file.write_bytes(file.read_bytes()[:-9])
    assert "audio unusable" in voiceguard("voiceprints", "show", "anna", state=tmp_path).stdout
    assert voiceguard("voiceprints", "remove", "anna", "-y", state=tmp_path).returncode == 0
    assert not store.holds("anna")


def test_list_says_what_to_do_with_voiceprints_of_another_encoder(
    tmp_path: Path, store: VoiceprintStore
) -> None:
    """By the card of the one in use: nobody waits for torch."""
    carl = make_person("carl")
    store.save(carl, audio=make_audio(carl))
    result = voiceguard("voiceprints", "list", state=tmp_path)
    for words in (
        f"the voiceprint of 'anna' was made by encoder {ENCODER_ID}",
        "no audio was kept to make it anew from: `voiceguard enroll anna --force`",
        "`voiceguard voiceprints migrate carl` makes it anew from the audio that was kept",
        'model = "/path/old.safetensors" under [encoder]',
    ):
        assert words in result.stdout
    anna = json.loads(
        voiceguard("voiceprints", "list", "--json", state=tmp_path).stdout.splitlines()[0]
    )
    assert anna["of_encoder_in_use"] is False


def test_without_the_key_the_missing_file_is_named_and_removing_still_works(
    tmp_path: Path, store: VoiceprintStore
) -> None:
    store.key_path.unlink()
    result = voiceguard("voiceprints", "list", state=tmp_path)
    assert result.returncode == 1
    assert str(store.key_path) in result.stderr
    assert voiceguard("voiceprints", "remove", "anna", "-y", state=tmp_path).returncode == 0
    assert store.names() == ("bob",)


def test_an_empty_store_says_how_to_begin(tmp_path: Path) -> None:
    result = voiceguard("voiceprints", "list", state=tmp_path)
    assert result.returncode == 0
    assert "voiceguard enroll NAME" in result.stderr
