"""Who is known, as of the last look; and when nobody can be, why, and what to do about it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from tests.fakes import PitchEncoder
from tests.voiceprints.people import make_audio, make_person
from voiceguard.service.kit import Kit
from voiceguard.service.roster import Roster
from voiceguard.settings import Settings
from voiceguard.voiceprints import VoiceprintStore

if TYPE_CHECKING:
    from pathlib import Path


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
