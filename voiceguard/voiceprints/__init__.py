"""Enrolled speakers on disk: names, key, file formats and store.

A voiceprint and, where the speaker agreed, the audio that it was made from, both encrypted.

Blocking (files, fsync): the daemon calls all of it on its I/O executor.
"""

from voiceguard.voiceprints.kept_audio import audio_to_keep
from voiceguard.voiceprints.names import (
    check_speaker_name,
    new_speaker_id,
    speaker_id,
    written_name,
)
from voiceguard.voiceprints.reading import Generation, LoadedVoiceprints, Refusal
from voiceguard.voiceprints.store import VoiceprintStore

__all__ = [
    "Generation",
    "LoadedVoiceprints",
    "Refusal",
    "VoiceprintStore",
    "audio_to_keep",
    "check_speaker_name",
    "new_speaker_id",
    "speaker_id",
    "written_name",
]
