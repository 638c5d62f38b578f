"""What arrives is stored, or nothing is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.voiceprints.people import ENCODER_ID, assert_same, make_audio, make_person
from voiceguard.errors import UsageError, VoiceprintError
from voiceguard.voiceprints import VoiceprintStore
from voiceguard.voiceprints.receiving import receive, wanted
from voiceguard.voiceprints.transfer import Parcel

if TYPE_CHECKING:
    from pathlib import Path

ANNA = Parcel(voiceprint=make_person("anna"), audio=make_audio(make_person("anna")))
BOB = Parcel(voiceprint=make_person("bob", seed=2))


@pytest.fixture
def store(tmp_path: Path) -> VoiceprintStore:
    return VoiceprintStore(tmp_path, environ={})


def test_voiceprints_and_audio_are_stored_under_this_machines_key(store: VoiceprintStore) -> None:
    received = receive(store, [ANNA, BOB], encoder_id=ENCODER_ID)
    assert [(each.has_audio, each.needs_migration) for each in received] == [
        (True, False),
        (False, False),
    ]
    anna = store.load("anna")
    assert_same(anna, ANNA.voiceprint)
    assert store.load_audio(anna) is not None
    assert store.load_audio(store.load("bob")) is None


def test_a_taken_name_stores_nobody(store: VoiceprintStore) -> None:
    mine = make_person("bob", seed=9)
    store.save(mine)
    with pytest.raises(VoiceprintError, match="'bob' is enrolled here already; nothing") as raised:
        receive(store, [ANNA, BOB], encoder_id=ENCODER_ID)
    assert "--replace" in raised.value.hint
    assert store.names() == ("bob",)
    receive(store, [ANNA, BOB], encoder_id=ENCODER_ID, replace=True)
    assert_same(store.load("bob"), BOB.voiceprint)


def test_one_of_another_encoder_is_refused_unless_its_audio_came_along(
    store: VoiceprintStore,
) -> None:
    other = "f" * 16
    with pytest.raises(VoiceprintError, match=f"encoder {ENCODER_ID}; the one in use here is f"):
        receive(store, [ANNA, BOB], encoder_id=other)
    assert store.names() == ()
    (anna,) = receive(store, [ANNA], encoder_id=other)
    assert anna.needs_migration
    assert store.names() == ("anna",)


def test_only_some_may_be_wanted_and_one_renamed() -> None:
    assert wanted([ANNA, BOB], ["bob"]) == (BOB,)
    assert wanted([ANNA, BOB], []) == (ANNA, BOB)
    (renamed,) = wanted([ANNA, BOB], ["anna"], "anna2")
    assert renamed.voiceprint.speaker == "anna2"
    with pytest.raises(UsageError, match="no voiceprint of 'carl'") as raised:
        wanted([ANNA, BOB], ["carl"])
    assert raised.value.hint == "it holds anna, bob"
    with pytest.raises(UsageError, match="these are 2"):
        wanted([ANNA, BOB], [], "anna2")


def test_nobody_is_called_nobody(store: VoiceprintStore) -> None:
    """A name for people that Home Assistant would take for nobody's is refused, as everywhere."""
    nobody = replace(BOB, voiceprint=replace(BOB.voiceprint, display_name="Unknown"))
    with pytest.raises(UsageError, match="nobody can be called 'unknown'"):
        receive(store, [ANNA, nobody], encoder_id=ENCODER_ID)
    assert store.names() == ()
