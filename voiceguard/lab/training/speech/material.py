"""Training speech: decoded, checked, trimmed, joined to passages, and kept for the next start.

In: a corpus. Out: passages (up to 12 s of one speaker's speech on one occasion), and a list of
everything that was left out and why. Short recordings, single words for example, are joined: a
teacher says little about a voice from half a second.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from voiceguard.audio.files import load_audio
from voiceguard.errors import AudioError, UsageError
from voiceguard.lab.corpora.clips import join, seeded, speech_of
from voiceguard.lab.corpora.corpus import Skip
from voiceguard.lab.progress import untracked
from voiceguard.speech.gate import GateConfig, SpeechGate
from voiceguard.speech.vad import VadConfig, make_vad
from voiceguard.types import SAMPLE_RATE_HZ
from voiceguard.validation.parsing import read_json_object
from voiceguard.voiceprints.durable import replace_durably

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from voiceguard.lab.corpora.clips import Speech
    from voiceguard.lab.corpora.corpus import Corpus, Recording
    from voiceguard.lab.progress import Track
    from voiceguard.types import Samples

MAX_ABOUT_BYTES = 2**30
"""Of what is kept beside speech: a million passages, and more."""
MIN_SPEAKERS = 10
"""Fewer teach an encoder to know these, not to tell people apart."""
MIN_TUNING_SPEAKERS = 2
"""Weights that tell people apart already can learn a room or a telephone from a household."""
MIN_RECORDING_S = 0.25
MIN_SPEAKER_S = 1.0
"""Net speech; less is not worth a class."""
PASSAGE_S = 12.0
_SPEECH, _ABOUT = "speech.i16", "material.json"
_CLIPPED_LEVEL = 0.999
_MAX_CLIPPED = 0.01
"""Share of samples at full scale from which a recording is left out."""


FULL_SCALE = 32767.0
"""Kept as 16-bit numbers: half the memory, and finer than any microphone's noise."""


@dataclass(frozen=True, slots=True, eq=False)
class Passage:
    """Speech of one speaker on one occasion, silences cut."""

    speaker: str
    corpus: str
    pcm: NDArray[np.int16]
    """``(num_samples,)``, maybe mapped from a file."""

    @property
    def samples(self) -> Samples:
        """``(num_samples,)`` in [-1, 1]."""
        return self.pcm.astype(np.float32) / np.float32(FULL_SCALE)

    @property
    def seconds(self) -> float:
        return len(self.pcm) / SAMPLE_RATE_HZ


def to_pcm(samples: Samples) -> NDArray[np.int16]:
    """Samples of any shape as 16-bit numbers."""
    return np.round(np.clip(samples, -1, 1) * FULL_SCALE).astype(np.int16)


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusCount:
    """What a corpus brought."""

    corpus: str
    num_speakers: int
    speech_s: float
    licences: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Material:
    """Everything to learn from, in a stable order."""

    passages: tuple[Passage, ...]
    skips: tuple[Skip, ...]
    counts: tuple[CorpusCount, ...]

    @property
    def speakers(self) -> list[str]:
        """Their names, sorted."""
        return sorted({passage.speaker for passage in self.passages})


def gather(
    corpus: Corpus,
    *,
    max_speaker_s: float,
    min_speakers: int = MIN_SPEAKERS,
    seed: int = 0,
    track: Track = untracked,
) -> Material:
    """Decodes and checks everything.

    Args:
        corpus: Labelled recordings.
        max_speaker_s: Net speech per speaker; more is left out, not named.
        min_speakers: With speech enough.
        seed: Of the room tone that the gate is led in with.
        track: Shows progress.

    Raises:
        UsageError: Fewer than min_speakers speakers have speech enough, or one recording stands
            under two speakers.
    """
    reader = _Reader(max_speaker_s, seed, list(corpus.skips))
    passages: list[Passage] = []
    by_speaker = corpus.by_speaker()
    for speaker in track(sorted(by_speaker), "reading"):
        about = by_speaker[speaker][0]
        sessions = reader.read(by_speaker[speaker])
        net_s = sum(speech.net_s for session in sessions for speech in session)
        if net_s < MIN_SPEAKER_S:
            reason = f"speaker {speaker} has {net_s:.1f} s of speech"
            reader.skips.append(Skip(about.path.parent, reason))
            continue
        passages += [
            Passage(speaker, about.corpus, to_pcm(samples))
            for session in sessions
            for samples in _passages(session)
        ]
    material = Material(
        passages=tuple(passages),
        skips=tuple(reader.skips),
        counts=_counts(passages, reader.licences),
    )
    if (num := len(material.speakers)) < min_speakers:
        kind = "training" if min_speakers == MIN_SPEAKERS else "fine-tuning"
        raise UsageError(
            f"{num} speakers have {MIN_SPEAKER_S:g} s of speech or more, where {kind} needs "
            f"{min_speakers}" + (f"; left out: {_shown(reader.skips)}" if reader.skips else ""),
            hint="add recordings of more people; one folder per speaker, or a manifest",
        )
    return material


class _Reader:
    """Decodes recordings, and remembers what was read and what was left out."""

    def __init__(self, max_speaker_s: float, seed: int, skips: list[Skip]) -> None:
        self.skips = skips
        self.licences: dict[str, set[str]] = {}
        self._max_speaker_s = max_speaker_s
        self._seed = seed
        self._seen: dict[str, Recording] = {}

    def read(self, recordings: list[Recording]) -> list[list[Speech]]:
        """One speaker's speech by session, up to the limit."""
        sessions: dict[str, list[Speech]] = {}
        budget_s = self._max_speaker_s
        for recording in recordings:
            if budget_s <= 0:
                break
            samples = _checked(recording, self._seen, self.skips)
            if samples is None:
                continue
            gate = SpeechGate(make_vad(VadConfig(backend="energy")), GateConfig())
            rng = seeded(self._seed, recording.speaker, recording.path.name)
            speech = speech_of(samples, gate, rng)
            if speech.net_s < MIN_RECORDING_S:
                self.skips.append(Skip(recording.path, "no speech in it"))
                continue
            budget_s -= speech.net_s
            sessions.setdefault(recording.session, []).append(speech)
            self.licences.setdefault(recording.corpus, set()).add(recording.licence)
        return list(sessions.values())


def _shown(skips: Sequence[Skip]) -> str:
    shown = "; ".join(f"{skip.path} ({skip.reason})" for skip in skips[:3])
    return shown + (f"; and {len(skips) - 3} more" if len(skips) > 3 else "")


def _checked(recording: Recording, seen: dict[str, Recording], skips: list[Skip]) -> Samples | None:
    """The samples, or None with the reason noted.

    Raises:
        UsageError: The same audio is another speaker's as well.
    """
    try:
        samples = load_audio(recording.path)
    except AudioError as error:
        skips.append(Skip(recording.path, str(error)))
        return None
    seconds = len(samples) / SAMPLE_RATE_HZ
    if seconds < MIN_RECORDING_S:
        skips.append(Skip(recording.path, f"{seconds:.2f} s are too short"))
        return None
    if np.mean(np.abs(samples) >= _CLIPPED_LEVEL) > _MAX_CLIPPED:
        skips.append(Skip(recording.path, "clipped: more than 1 % of it is at full scale"))
        return None
    digest = hashlib.sha256(samples.tobytes()).hexdigest()
    if (twin := seen.get(digest)) is not None:
        if twin.speaker != recording.speaker:
            raise UsageError(
                f"the same recording stands under two speakers: {twin.path} ({twin.speaker}) and "
                f"{recording.path} ({recording.speaker})",
                hint="take one away, or merge the speakers if they are one person",
            )
        skips.append(Skip(recording.path, f"the same audio as {twin.path}"))
        return None
    seen[digest] = recording
    return samples


def _passages(session: list[Speech]) -> Iterator[Samples]:
    """Speech of one occasion, joined and cut to lengths between PASSAGE_S / 2 and PASSAGE_S."""
    samples = join(session).samples
    num = max(1, -(-len(samples) // int(PASSAGE_S * SAMPLE_RATE_HZ)))
    yield from np.array_split(samples, num)


class _Sum(NamedTuple):
    speakers: set[str]
    samples: int


def _counts(passages: list[Passage], licences: dict[str, set[str]]) -> tuple[CorpusCount, ...]:
    sums: dict[str, _Sum] = {}
    for passage in passages:
        so_far = sums.get(passage.corpus, _Sum(set(), 0))
        sums[passage.corpus] = _Sum(
            so_far.speakers | {passage.speaker}, so_far.samples + len(passage.pcm)
        )
    return tuple(
        CorpusCount(
            corpus=corpus,
            num_speakers=len(total.speakers),
            speech_s=total.samples / SAMPLE_RATE_HZ,
            licences=tuple(sorted(licences.get(corpus, set()))),
        )
        for corpus, total in sorted(sums.items())
    )


def store_material(material: Material, folder: Path, key: str) -> None:
    """Keeps it, so that a resumed run need not decode everything again.

    Args:
        material: From ``gather``.
        folder: Of the run.
        key: Names the corpus and settings that it came from.

    Raises:
        OSError: The folder cannot be written.
    """
    about = {
        "key": key,
        "passages": [[each.speaker, each.corpus, len(each.pcm)] for each in material.passages],
        "skips": [[str(skip.path), skip.reason] for skip in material.skips],
        "counts": [asdict(count) for count in material.counts],
    }
    speech = np.concatenate([each.pcm for each in material.passages])
    replace_durably(
        (folder / _SPEECH, speech.tobytes()), (folder / _ABOUT, json.dumps(about).encode())
    )


def stored_material(folder: Path, key: str) -> Material | None:
    """What ``store_material`` kept, or None where there is nothing of this key."""
    try:
        about = read_json_object(folder / _ABOUT, max_bytes=MAX_ABOUT_BYTES)
    except (OSError, ValueError):
        return None
    if about["key"] != key:
        return None
    speech = np.memmap(folder / _SPEECH, dtype=np.int16, mode="r")
    ends = np.cumsum([length for _, _, length in about["passages"]])
    parts = np.split(speech, ends[:-1])
    return Material(
        passages=tuple(
            Passage(speaker, corpus, part)
            for (speaker, corpus, _), part in zip(about["passages"], parts, strict=True)
        ),
        skips=tuple(Skip(Path(path), reason) for path, reason in about["skips"]),
        counts=tuple(
            CorpusCount(**{**count, "licences": tuple(count["licences"])})
            for count in about["counts"]
        ),
    )
