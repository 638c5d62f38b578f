"""The order of work of an enrollment, whoever asks for it: command line, API or demo.

Name and store are looked at before anybody is asked, consent comes before the encoder is loaded,
the encoder is compared before anybody reads, a voice that is enrolled under another name is
noticed, and nothing is stored before the end:
``EnrollmentSession(store, name)``, ``consent``, ``begin``, takes, ``finish``. In: takes. Out: a
voiceprint in the store, perhaps with its audio, and how well it will do. Blocking; no clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Protocol

from voiceguard.enrollment.appraisal import appraise
from voiceguard.enrollment.takes import Takes
from voiceguard.errors import EnrollmentError, KnownVoiceError
from voiceguard.voiceprints import audio_to_keep, new_speaker_id, speaker_id, written_name
from voiceguard.voiceprints.wording import already_enrolled

if TYPE_CHECKING:
    from datetime import datetime

    from voiceguard.enrollment.appraisal import Appraisal
    from voiceguard.enrollment.assessment import TakeJudge, TakeReport
    from voiceguard.scoring.prediction import PredictedRate
    from voiceguard.types import Voiceprint
    from voiceguard.voiceprints import VoiceprintStore
    from voiceguard.voiceprints.kept_audio import KeptAudio
    from voiceguard.voiceprints.reading import LoadedVoiceprints


class Mode(Enum):
    """What becomes of a voiceprint that the speaker has already."""

    NEW = auto()
    """There must be none."""
    REPLACE = auto()
    """It is replaced where there is one."""
    ADD = auto()
    """There must be one; it gets the new takes as well."""


class EnrollingKit(Protocol):
    """What an enrollment needs of ``service.kit.Kit``."""

    @property
    def take_judge(self) -> TakeJudge:
        """Judges takes."""

    def predict_acceptance(
        self, voiceprint: Voiceprint, *, num_voiceprints: int = 1
    ) -> tuple[PredictedRate, ...]:
        """How often the speaker will be accepted; empty where nobody can say."""

    def known_voice(self, voiceprint: Voiceprint, loaded: LoadedVoiceprints) -> str | None:
        """Whom of the enrolled speakers a new voiceprint sounds like; None: nobody else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolled:
    """What an enrollment has made; all of it is stored."""

    voiceprint: Voiceprint
    reports: tuple[TakeReport, ...]
    """One per take, unusable ones too."""
    audio: KeptAudio | None
    """All that is kept of the speaker now; None where these takes' audio is not."""
    prediction: tuple[PredictedRate, ...]
    """How often the speaker will be accepted, beside all who are enrolled now."""
    appraisal: Appraisal
    """The same in a word, and what would help."""


class EnrollmentSession:
    """One speaker's way into a store, or that of further takes.

    Args:
        store: Where to.
        name: As people write it, or an id; the one makes the other.
        mode: What becomes of a voiceprint that is there.
        display_name: For people; of a new voiceprint. Empty: the name as it was written.

    Raises:
        UsageError: No name that a speaker can have.
        VoiceprintError: There is a voiceprint and none may be, or the reverse; or it can't be read.
        StoreKeyError: The key to what shall be added to is missing or wrong.
    """

    def __init__(
        self,
        store: VoiceprintStore,
        name: str,
        mode: Mode = Mode.NEW,
        *,
        display_name: str = "",
    ) -> None:
        self.display_name = display_name or written_name(name)
        speaker = speaker_id(name) if mode is Mode.ADD else new_speaker_id(name, self.display_name)
        self.store = store
        self.speaker = speaker
        self._mode = mode
        self._earlier = store.load(speaker) if mode is Mode.ADD else None
        if mode is Mode.NEW and speaker in store.names():
            raise already_enrolled(speaker)
        self._consent_at = None if self._earlier is None else self._earlier.consent_at
        self._audio_consent_at: datetime | None = None
        self._earlier_audio: KeptAudio | None = None
        self._kit: EnrollingKit | None = None

    @property
    def has_consent(self) -> bool:
        """Whether the speaker agreed to a voiceprint, now or when the earlier takes were read."""
        return self._consent_at is not None

    def consent(self, at: datetime | None = None, *, audio_at: datetime | None = None) -> None:
        """What the speaker agrees to; then makes sure that it can be stored in the end.

        Args:
            at: UTC, when they agreed to a voiceprint; None: earlier, to the one that is added to.
            audio_at: When they agreed to the takes' audio being kept; None: it is not kept.

        Raises:
            EnrollmentError: There is no consent.
            VoiceprintError: Audio that was kept is damaged, or of another enrollment.
            StoreKeyError: Voiceprints are there and their key is not, or it is another one.
            StateError: The directory can't be made or written to.
        """
        self._consent_at = self._consent_at or at
        if self._consent_at is None:
            raise EnrollmentError(
                f"{self.speaker!r} has not consented",
                hint="ask the speaker, then pass consent=True",
            )
        self._audio_consent_at = audio_at
        if self._earlier is not None and audio_at is not None:
            self._earlier_audio = self.store.load_audio(self._earlier)
        self.store.prepare()

    def begin(self, kit: EnrollingKit) -> Takes:
        """Where the takes go.

        Raises:
            VoiceprintError: What shall be added to is of another encoder than the kit's.
        """
        assert self._consent_at is not None, "nobody records before there is consent"
        self._kit = kit
        encoder_id = kit.take_judge.encoder.info.encoder_id
        if self._earlier is not None and self._earlier.encoder_id != encoder_id:
            raise self.store.of_another_encoder(self._earlier, encoder_id)
        return Takes(kit.take_judge, keep_audio=self._audio_consent_at is not None)

    def appraise(self, takes: Takes, *, now: datetime) -> Appraisal:
        """How good it would be with these takes; nothing is stored. Raises as ``finish`` does."""
        assert self._kit is not None
        voiceprint = self._made(takes, now)
        num_voiceprints = len({*self.store.names(), self.speaker})
        return appraise(
            voiceprint, self._kit.predict_acceptance(voiceprint, num_voiceprints=num_voiceprints)
        )

    def finish(
        self,
        takes: Takes,
        *,
        now: datetime,
        another_person: bool = False,
    ) -> Enrolled:
        """Makes the voiceprint, stores it, and says how well it will do.

        Args:
            takes: From ``begin``.
            now: UTC.
            another_person: That the speaker is none of those enrolled, whoever it sounds like.

        Raises:
            KnownVoiceError: The voice is enrolled already, under another name.
            EnrollmentError: Too little usable speech (says what was wrong with each take), or
                clearly another voice than that of the earlier takes.
            VoiceprintError: Somebody else enrolled the speaker meanwhile, changed or removed the
                voiceprint; or the audio is too much.
            StateError: The disk is full, or the directory can't be written to.
        """
        assert self._consent_at is not None
        assert self._kit is not None
        voiceprint = self._made(takes, now)
        if self._earlier is None and not another_person:
            loaded = self.store.load_all(encoder_id=voiceprint.encoder_id)
            if known := self._kit.known_voice(voiceprint, loaded):
                raise KnownVoiceError(self.speaker, known)
        audio = None
        if self._audio_consent_at is not None:
            audio = audio_to_keep(
                voiceprint, takes.usable_audio, self._audio_consent_at, self._earlier_audio
            )
        if self._earlier is None:
            self.store.save(voiceprint, overwrite=self._mode is Mode.REPLACE, audio=audio)
        else:
            self.store.replace(self._earlier, voiceprint, audio=audio)
        prediction = self._kit.predict_acceptance(
            voiceprint, num_voiceprints=len(self.store.names())
        )
        return Enrolled(
            voiceprint=voiceprint,
            reports=takes.reports,
            audio=audio,
            prediction=prediction,
            appraisal=appraise(voiceprint, prediction),
        )

    def _made(self, takes: Takes, now: datetime) -> Voiceprint:
        """The voiceprint that takes make, or what is added to makes of them."""
        assert self._consent_at is not None
        if self._earlier is not None:
            return takes.added_to(self._earlier, now=now)
        return takes.voiceprint(
            self.speaker, display_name=self.display_name, consent_at=self._consent_at, now=now
        )
