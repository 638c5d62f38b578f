"""Whole recordings, and the people who are enrolled. Blocking, except ``listen``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from voiceguard.api.arrays import recorded
from voiceguard.api.pushed import AsyncPushedStream, PushedStream
from voiceguard.clock import SystemClock
from voiceguard.decisions.sinks import CallbackSink
from voiceguard.enrollment import EnrollmentSession, Mode
from voiceguard.marks.store import MarkStore
from voiceguard.people.checking import check_enrolled
from voiceguard.pipeline.permission import Permission
from voiceguard.service.daemon import Daemon
from voiceguard.service.kit import Kit, assemble, open_store
from voiceguard.service.people.forgetting import forget
from voiceguard.service.utterance import judge_recording
from voiceguard.service.whole import embed_whole
from voiceguard.settings import Settings, load_settings
from voiceguard.voiceprints import speaker_id
from voiceguard.voiceprints.renaming import rename
from voiceguard.voiceprints.sending import pack, write_export

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from voiceguard.decisions.result import Decision, Judgement
    from voiceguard.pipeline.judge import Judge
    from voiceguard.scoring.prediction import PredictedRate
    from voiceguard.types import Embedding, Recorded, Voiceprint
    from voiceguard.voiceprints.reading import Generation

Recording: TypeAlias = "str | Path | Recorded | NDArray[Any]"
"""A file in any container; or samples at 16 kHz: ``(num_samples,)`` or ``(num_samples, channels)``,
floats with full scale 1, or int16; or mono 16 kHz float32 block by block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody who has a voiceprint here."""

    speaker: str
    """The name in topics, files and decisions."""
    display_name: str
    """What people read."""
    is_usable: bool
    """Whether the encoder in use can recognise them; else ``fault`` says why not."""
    fault: str = ""
    enrolled_at: datetime | None = None
    """None where the voiceprint can't be read."""
    num_takes: int = 0
    net_speech_s: float = 0.0
    """Speech in all takes."""


class Guard:
    """An encoder and a store of voiceprints, ready to hear and to decide.

    Args:
        kit: The encoder with its cohort and calibration, and the settings.
    """

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._store = open_store(kit.settings)
        self._permission = Permission(kit.settings.people, SystemClock())
        self._judge: tuple[Generation, Judge] | None = None
        """As of the last look at the store."""

    # --- people -----------------------------------------------------------------------------

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
            speaker: As people write it ("Zoë"), or the id that it makes ("zoe").
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
        session = EnrollmentSession(self._store, speaker, mode, display_name=display_name)
        now = datetime.now(UTC)
        session.consent(now if consent else None, audio_at=now if keep_audio else None)
        takes = session.begin(self._kit)
        for recording in recordings:
            # A time of its own: it tells the takes that are kept apart.
            takes.add(self._opened(recording), recorded_at=datetime.now(UTC))
        return session.finish(takes, now=now, another_person=another_person).voiceprint

    def people(self) -> tuple[Person, ...]:
        """Everybody who has a voiceprint here, by name, those that can't be used included.

        Raises:
            StoreKeyError: The voiceprints' key is missing or wrong.
        """
        encoder_id = self._kit.encoder.info.encoder_id
        loaded = self._store.load_all()
        usable = self._kit.comparable(self._store.load_all(encoder_id=encoder_id))
        faults = {each.speaker: each.reason for each in (*loaded.refusals, *usable.refusals)}
        known = {
            each.speaker: Person(
                speaker=each.speaker,
                display_name=each.display_name,
                is_usable=each.speaker not in faults,
                fault=faults.get(each.speaker, ""),
                enrolled_at=each.created_at,
                num_takes=len(each.templates),
                net_speech_s=sum(template.net_speech_s for template in each.templates),
            )
            for each in loaded.voiceprints
        }
        lost = {
            name: Person(speaker=name, display_name=name, is_usable=False, fault=fault)
            for name, fault in faults.items()
            if name not in known
        }
        return tuple(sorted((*known.values(), *lost.values()), key=lambda each: each.speaker))

    def rename(self, speaker: str, display_name: str) -> None:
        """Another name for people to read; the one in topics, files and decisions stays.

        Raises:
            UsageError: No name that a speaker can have, or nothing to read.
            VoiceprintError: The speaker is not enrolled, or the voiceprint is not usable.
            StoreKeyError: The voiceprints' key is missing or wrong.
        """
        rename(self._store, speaker, display_name, now=datetime.now(UTC))

    def remove(self, speaker: str) -> int:
        """Forgets a person: voiceprint, audio kept with it, and what the history knows of them.

        A ``Guard`` speaks to no broker. What a daemon has told one of the person, the daemon takes
        back: within ``service.voiceprint_poll_s`` where it runs, else when it is started again.
        Where none will be, ``voiceguard mqtt forget`` does; ``voiceguard voiceprints remove``, the
        command, takes this person back by itself.

        Returns:
            How many decisions of the history named them.

        Raises:
            UsageError: No name that a speaker can have.
            VoiceprintError: There is nobody of that name.
            StateError: Something can't be written.
        """
        return forget(self._kit.settings, speaker)

    def export(
        self,
        path: str | Path,
        passphrase: str,
        speakers: Sequence[str] | None = None,
        *,
        with_audio: bool = False,
    ) -> None:
        """Voiceprints into one file under a passphrase, for ``voiceguard voiceprints import``.

        Args:
            path: Where to.
            passphrase: Whoever has it and the file has the voiceprints.
            speakers: Whose; None: everybody's.
            with_audio: Whether the audio that is kept of them goes along.

        Raises:
            UsageError: The passphrase is too short.
            VoiceprintError: One is not enrolled, or the voiceprint is not usable.
            StoreKeyError: The voiceprints' key is missing or wrong.
            StateError: It can't be written.
        """
        names = self._store.names() if speakers is None else speakers
        write_export(Path(path), pack(self._store, names, with_audio=with_audio), passphrase)

    def predict(self, speaker: str) -> tuple[PredictedRate, ...]:
        """How often an enrolled speaker will be accepted, beside all that are enrolled now.

        Returns:
            A range per occasion and length of speech; empty where the calibration can't say.

        Raises:
            VoiceprintError: The speaker is not enrolled, or the voiceprint is not usable.
            StoreKeyError: The voiceprints' key is missing or wrong.
        """
        encoder_id = self._kit.encoder.info.encoder_id
        voiceprint = self._store.load(speaker_id(speaker), encoder_id=encoder_id)
        return self._kit.predict_acceptance(voiceprint, num_voiceprints=len(self._store.names()))

    # --- recordings -------------------------------------------------------------------------

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
        voiceprint = self._store.load(speaker_id(speaker), encoder_id=encoder_id)
        marks = MarkStore(self._store).load_all([voiceprint.speaker]).marks
        judge = self._kit.make_judge([voiceprint], claim=voiceprint.speaker, marks=marks)
        return judge_recording(self._kit, judge, self._opened(recording))

    def identify(self, recording: Recording) -> Judgement:
        """Who of all enrolled speakers is it? Accepted, unknown or inconclusive.

        Raises:
            AudioError: The recording is not readable as audio.
            StoreKeyError: The voiceprints' key is missing or wrong.
        """
        return judge_recording(self._kit, self._judge_of_all(), self._opened(recording))

    # --- streams ----------------------------------------------------------------------------

    def stream(self, name: str = "pushed") -> PushedStream:
        """Audio that you push, decided on as it comes, against all enrolled speakers.

        Who is enrolled or removed meanwhile counts from the next piece on. The rules of [people]
        hold, for the stream of this name.

        Args:
            name: As decisions name it.

        Raises:
            ConfigError: A rule names somebody who is not enrolled, now or later.
            StoreKeyError: The voiceprints' key is missing or wrong.
        """
        return PushedStream(
            name,
            ear=self._kit.make_ear(self._kit.settings.audio.channel),
            encoder=self._kit.encoder.open_stream(),
            overlap=self._kit.overlap,
            judge=lambda: self._permission.judge(name, self._judge_by_rules()),
        )

    def stream_async(self, name: str = "pushed") -> AsyncPushedStream:
        """The same for a coroutine; raises the same."""
        return AsyncPushedStream(self.stream(name))

    def _judge_by_rules(self) -> Judge:
        judge, people = self._judge_of_all(), self._kit.settings.people
        if people.named:  # or the directory would be read for every decision of everybody's
            check_enrolled(people, self._store.names())
        return judge

    def _judge_of_all(self) -> Judge:
        """Over everybody enrolled; read anew where the store has changed since the last call."""
        generation = self._store.generation()
        if self._judge is None or self._judge[0] != generation:
            encoder_id = self._kit.encoder.info.encoder_id
            loaded = self._kit.comparable(self._store.load_all(encoder_id=encoder_id))
            speakers = [each.speaker for each in loaded.voiceprints]
            marks = MarkStore(self._store).load_all(speakers).marks
            self._judge = generation, self._kit.make_judge(loaded.voiceprints, marks=marks)
        return self._judge[1]

    def _opened(self, recording: Recording) -> Recorded:
        return recorded(recording, self._kit.settings.audio.channel)


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
