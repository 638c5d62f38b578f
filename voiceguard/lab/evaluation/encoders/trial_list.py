"""Trials that somebody has listed: VoxCeleb's format, ``1 id1/video/a.wav id1/other/b.wav``.

In: the list and the folder that its paths are relative to. Out: a ``TrialList``, and its files
embedded: the first of each line is enrolled, the second tested, whole. Nothing is left out: other
trials would be another benchmark.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from voiceguard.errors import UsageError
from voiceguard.lab.corpora.clips import Speech, quiet_rms, seeded, speech_of
from voiceguard.lab.corpora.corpus import Recording
from voiceguard.lab.corpora.windows import load_spread
from voiceguard.lab.evaluation.encoders.trials import Pairs
from voiceguard.lab.evaluation.pieces import make_piece
from voiceguard.lab.evaluation.plan import FULL
from voiceguard.lab.progress import untracked
from voiceguard.types import FRAME_SAMPLES, SAMPLE_RATE_HZ
from voiceguard.validation.files import read_given

if TYPE_CHECKING:
    from voiceguard.lab.evaluation.encoders.embeddings import Embedded, Embedder
    from voiceguard.lab.progress import Track
    from voiceguard.service.kit import Kit

MAX_BYTES = 2**28
"""VoxCeleb1-E, extended, has 580,000 trials and 40 MB."""
_NAMED_FILES = 3
_NUM_FIELDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One line."""

    is_target: bool
    enrolled: str
    """As listed."""
    tested: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialList:
    """A list whose files are all there."""

    name: str
    root: Path
    trials: tuple[Listed, ...]

    @property
    def knows_speakers(self) -> bool:
        """Whether the first folder of every path names the speaker, as the labels have it."""
        return all(
            (_folder(trial.enrolled, 0) == _folder(trial.tested, 0)) == trial.is_target
            for trial in self.trials
        )


def read_trial_list(path: Path, root: Path) -> TrialList:
    """Reads a list of trials.

    Args:
        path: A text file, one trial per line: 1 (the same speaker) or 0, then two files.
        root: What those are relative to.

    Raises:
        UsageError: The list cannot be read, a line is no trial, a file is not there, or it lacks
            trials of one kind.
    """
    try:
        lines = read_given(path, MAX_BYTES).decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"trial list {path} cannot be read: {error}") from error
    trials = tuple(
        _parsed(path, number, line) for number, line in enumerate(lines, start=1) if line.strip()
    )
    files = {name for trial in trials for name in (trial.enrolled, trial.tested)}
    unknown = sorted(name for name in files if not (root / name).is_file())
    if unknown:
        named = ", ".join(unknown[:_NAMED_FILES])
        raise UsageError(
            f"trial list {path} names {len(unknown)} files that are not in {root}: {named}"
            f"{', ...' if len(unknown) > _NAMED_FILES else ''}",
            hint="its paths are relative to the folder that is evaluated",
        )
    if len({trial.is_target for trial in trials}) < 2:
        raise UsageError(
            f"trial list {path} has {len(trials)} trials and not both kinds: error rates need "
            "lines that begin with 1 and lines that begin with 0"
        )
    return TrialList(name=path.stem, root=root, trials=trials)


def embed_trial_list(
    embedder: Embedder, listed: TrialList, *, track: Track = untracked
) -> tuple[Embedded, Pairs]:
    """Embeds every file once for each part that it plays; of the plan, lengths play no part.

    Args:
        embedder: A fresh one.
        listed: The trials.
        track: Shows progress.

    Raises:
        AudioError: A file is no audio.
        UsageError: A file is too short for an encoder.
    """
    seed = embedder.plan.seed
    enrolled = sorted({trial.enrolled for trial in listed.trials})
    tested = sorted({trial.tested for trial in listed.trials})
    for name in track(sorted({*enrolled, *tested}), "embedding"):
        about = Recording(
            path=listed.root / name,
            corpus=listed.name,
            speaker=_speaker(listed, name),
            session=_folder(name, 1),
            half="",
        )
        speech = _speech(embedder.kit, about.path, embedder.least_s, seed=seed)
        if name in set(enrolled):
            embedder.enroll(about, [speech.samples])
        if name in set(tested):
            embedder.test(about, [make_piece(speech, length=FULL, place=(seed, name))])
    row_of = {name: row for row, name in enumerate(enrolled)}
    column_of = {name: column for column, name in enumerate(tested)}
    pairs = Pairs(
        enrollee=np.array([row_of[trial.enrolled] for trial in listed.trials]),
        test=np.array([column_of[trial.tested] for trial in listed.trials]),
        is_target=np.array([trial.is_target for trial in listed.trials]),
    )
    return embedder.finish(min_enrolled=1), pairs


def _speech(kit: Kit, path: Path, least_s: float, *, seed: int) -> Speech:
    """A file's speech; the whole of it where the gate hears none."""
    samples = load_spread(path, kit.settings.audio.channel)
    speech = speech_of(samples, kit.make_gate(), seeded(seed, path.name))
    if len(speech.samples) >= least_s * SAMPLE_RATE_HZ:
        return speech
    if len(samples) < least_s * SAMPLE_RATE_HZ:
        seconds = len(samples) / SAMPLE_RATE_HZ
        raise UsageError(
            f"{path} lasts {seconds:.2f} s; an encoder needs at least {least_s:g} s",
            hint="take its trials out of the list",
        )
    num_frames = len(samples) // FRAME_SAMPLES
    whole = samples[: num_frames * FRAME_SAMPLES]
    return Speech(whole, np.ones(num_frames, np.bool_), quiet_rms(samples))


def _parsed(path: Path, number: int, line: str) -> Listed:
    parts = line.split()
    if len(parts) != _NUM_FIELDS or parts[0] not in ("0", "1"):
        raise UsageError(
            f"line {number} of trial list {path} is no trial: {line.strip()!r}",
            hint="a trial is 1 (the same speaker) or 0, and two paths: 1 id1/x/a.wav id1/y/b.wav",
        )
    return Listed(is_target=parts[0] == "1", enrolled=parts[1], tested=parts[2])


def _speaker(listed: TrialList, name: str) -> str:
    return f"{listed.name}/{_folder(name, 0) if listed.knows_speakers else name}"


def _folder(name: str, depth: int) -> str:
    """A path's first folder, or the one in it; the path itself where it is not that deep."""
    parts = PurePosixPath(name).parts
    return parts[depth] if len(parts) > depth + 1 else name
