"""The importable API: what ``from voiceguard import ...`` gives. Blocking, except ``listen``."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from voiceguard.audio.files import SoundFile
from voiceguard.decisions.sinks import CallbackSink
from voiceguard.enrollment import EnrollmentSession, Mode
from voiceguard.service.daemon import Daemon
from voiceguard.service.kit import Kit, assemble, open_store
from voiceguard.service.utterance import judge_recording
from voiceguard.service.whole import embed_whole
from voiceguard.settings import Settings, load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from voiceguard.decisions.result import Decision, Judgement
    from voiceguard.scoring.prediction import PredictedRate
    from voiceguard.types import Embedding, Recorded, Voiceprint

Recording: TypeAlias = "str | Path | Recorded"
"""A file in any container; or ``(num_samples,)`` mono 16 kHz float32, whole or block by block."""


class Guard:
    """An encoder and a store of voiceprints, ready to embed, verify and identify.

    Args:
        kit: The encoder with its cohort and calibration, and the settings.
    """

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._store = open_store(kit.settings)

    def enroll(
        self,
        speaker: str,
        recordings: Sequence[Recording],
        *,
        consent: bool,
        display_name: str = "",
        overwrite: bool = False,
        keep_audio: bool = False,
        another_person: bool = False,
    ) -> Voiceprint:
        """Makes and stores a voiceprint; unusable recordings are left out.

        Args:
            speaker: ``[a-z0-9_][a-z0-9_-]{0,31}``.
            recordings: One take each.
            consent: That the speaker has agreed to it; the time is stored with the voiceprint.
            display_name: For people.
            overwrite: Replace a voiceprint that is there.
            keep_audio: That the speaker has agreed to this as well: the recordings are kept,
                encrypted, so that another encoder need not hear the speaker again.
            another_person: That the speaker is none of those enrolled, whoever it sounds like.

        Raises:
            EnrollmentError: No consent, or too little usable speech (says what was wrong with
                each take).
            KnownVoiceError: The voice is enrolled already, under another name.
            UsageError: No name that a speaker can have.
            VoiceprintError: The speaker is enrolled already.
        """
        mode = Mode.REPLACE if overwrite else Mode.NEW
        session = EnrollmentSession(self._store, speaker, mode)
        now = datetime.now(UTC)
        session.consent(now if consent else None, audio_at=now if keep_audio else None)
        takes = session.begin(self._kit)
        for recording in recordings:
            # A time of its own: it tells the takes that are kept apart.
            takes.add(self._opened(recording), recorded_at=datetime.now(UTC))
        return session.finish(
            takes, now=now, display_name=display_name, another_person=another_person
        ).voiceprint

    def predict(self, speaker: str) -> tuple[PredictedRate, ...]:
        """How often an enrolled speaker will be accepted, beside all that are enrolled now.

        Returns:
            A range per occasion and length of speech; empty where the calibration can't say.

        Raises:
            VoiceprintError: The speaker is not enrolled, or the voiceprint is not usable.
            StoreKeyError: The voiceprints' key is missing or wrong.
        """
        encoder_id = self._kit.encoder.info.encoder_id
        voiceprint = self._store.load(speaker, encoder_id=encoder_id)
        return self._kit.predict_acceptance(voiceprint, num_voiceprints=len(self._store.names()))

    def embed(self, recording: Recording) -> Embedding:
        """The embedding of a whole recording as it is; the mean over its half minutes after 45 s.

        Returns:
            ``(embedding_dim,)`` float32, L2 norm 1.

        Raises:
            AudioError: The recording is not readable as audio, or too short.
        """
        whole = embed_whole(self._kit.encoder, self._opened(recording))
        return whole.vectors["embedding"]

    def verify(self, speaker: str, recording: Recording) -> Judgement:
        """Is it the claimed speaker? Accepted, rejected or inconclusive.

        Raises:
            AudioError: The recording is not readable as audio.
            VoiceprintError: The speaker is not enrolled, or the voiceprint is not usable.
            StoreKeyError: The voiceprints' key is missing or wrong.
        """
        encoder_id = self._kit.encoder.info.encoder_id
        voiceprint = self._store.load(speaker, encoder_id=encoder_id)
        judge = self._kit.make_judge([voiceprint], claim=speaker)
        return judge_recording(self._kit, judge, self._opened(recording))

    def identify(self, recording: Recording) -> Judgement:
        """Who of all enrolled speakers is it? Accepted, unknown or inconclusive.

        Raises:
            AudioError: The recording is not readable as audio.
            StoreKeyError: The voiceprints' key is missing or wrong.
        """
        encoder_id = self._kit.encoder.info.encoder_id
        loaded = self._kit.comparable(self._store.load_all(encoder_id=encoder_id))
        judge = self._kit.make_judge(loaded.voiceprints)
        return judge_recording(self._kit, judge, self._opened(recording))

    def _opened(self, recording: Recording) -> Recorded:
        if isinstance(recording, str | Path):
            return SoundFile(Path(recording), self._kit.settings.audio.channel)
        return recording


def open_guard(config_file: Path | None = None, **overrides: Any) -> Guard:  # noqa: ANN401
    """Loads the encoder and the calibration that the settings name.

    Args:
        config_file: As ``--config``.
        **overrides: Settings, nested as the configuration is: ``policy={"p_fa": 0.001}``.

    Raises:
        ConfigError: A setting is wrong.
        EncoderError: Weights, cohort or calibration are missing or corrupt.
    """
    return Guard(assemble(load_settings(config_file, **overrides)))


async def listen(on_decision: Callable[[Decision], None], settings: Settings | None = None) -> None:
    """Runs the daemon inside this process until it is cancelled or its files have ended.

    Args:
        on_decision: Called on the event loop with every decision, provisional ones included. What
            it raises is logged, and the daemon goes on.
        settings: What ``load_settings`` gives; None: what is in force.
    """
    await Daemon(settings or load_settings(), sinks=[CallbackSink(on_decision)]).run()
