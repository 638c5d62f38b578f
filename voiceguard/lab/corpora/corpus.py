"""Labelled recordings: from a manifest CSV, or from a folder per speaker.

In: a path. Out: ``Recording``s, grouped by speaker and session, and what was left out and why.
Nothing is decoded here.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from voiceguard.errors import UsageError
from voiceguard.lab.corpora.exclusion import without
from voiceguard.validation.files import read_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from voiceguard.lab.corpora.exclusion import Exclusion

AUDIO_SUFFIXES = frozenset({
    ".aac", ".aif", ".aiff", ".au", ".caf", ".flac", ".m4a", ".mka", ".mp3", ".mp4", ".oga",
    ".ogg", ".opus", ".wav", ".webm", ".wma",
})  # fmt: skip
MAX_MANIFEST_BYTES = 2**30
"""A million rows have about 100 MB."""
HALVES = ("a", "b")
MEASURED_SPLITS = ("eval", "test")
"""Of manifests: what is never learnt from."""
_NAMED = 3
_SPEAKER_COLUMNS = ("path", "speaker")
_NOISE_COLUMNS = ("path",)
_LEVELS_ABOVE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One file in which one person speaks."""

    path: Path
    corpus: str
    speaker: str
    """Unique over all corpora: ``corpus/name``."""
    session: str
    """The occasion; recordings of one session share room, microphone and mood."""
    half: str
    """``a`` or ``b``: calibrations are fitted on one half and judged on the other."""
    licence: str = "not stated"


@dataclass(frozen=True, slots=True)
class Skip:
    """A file that takes no part."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """Recordings in a stable order, and what could not be used."""

    recordings: tuple[Recording, ...]
    skips: tuple[Skip, ...]

    def by_speaker(self) -> dict[str, list[Recording]]:
        """Every speaker's recordings, in order of the manifest."""
        grouped: dict[str, list[Recording]] = {}
        for recording in self.recordings:
            grouped.setdefault(recording.speaker, []).append(recording)
        return grouped

    @property
    def corpora(self) -> tuple[str, ...]:
        """Their names, in alphabetical order."""
        return tuple(sorted({recording.corpus for recording in self.recordings}))


def together(corpora: Sequence[Corpus]) -> Corpus:
    """Several corpora as one; a name that two of them have is one speaker."""
    return Corpus(
        recordings=tuple(each for corpus in corpora for each in corpus.recordings),
        skips=tuple(skip for corpus in corpora for skip in corpus.skips),
    )


def read_corpus(
    source: Path,
    *,
    split: str | None = None,
    exclude: Sequence[Exclusion] = (),
    min_speakers: int = 2,
) -> Corpus:
    """Reads a manifest, or a folder that has one in it or above it, or a folder per speaker.

    A manifest has the columns ``path`` and ``speaker``, and where known ``corpus``, ``session``,
    ``split``, ``half`` (a or b) and ``licence``. Paths are relative to it. A folder per speaker may
    have a folder per session inside each; files right beneath the speaker are one session.

    Args:
        source: The CSV file or the folder; of a manifest above it, the rows inside it count.
        split: Keep the rows of this split only.
        exclude: Which of them to leave out.
        min_speakers: Fewer are refused.

    Raises:
        UsageError: There is nothing there, no usable recording, or too few speakers; or nothing
            that is to be left out.
    """
    manifest = _find_manifest(source)
    if manifest is None:
        if exclude:
            raise UsageError(
                f"{source} has no manifest, so there is no column to exclude by",
                hint="leave --exclude out, or name a manifest CSV",
            )
        corpus = _read_folders(source)
    else:
        rows = without(exclude, _read_rows(manifest, _SPEAKER_COLUMNS, split), manifest)
        within = source.resolve() if source.is_dir() else None
        corpus = _from_rows(manifest, rows, within)
    num_speakers = len(corpus.by_speaker())
    if num_speakers < min_speakers:
        found = f"; {len(corpus.skips)} files are missing" if corpus.skips else ""
        raise UsageError(
            f"{source} has {num_speakers} usable speakers where {min_speakers} are needed{found}",
            hint="give a manifest CSV (path, corpus, speaker, session, split, half, licence) or a "
            "folder per speaker",
        )
    return corpus


def refuse_held_back(source: Path, corpus: Corpus) -> None:
    """Sees to it that nobody is learnt whom the same manifest keeps for measuring.

    A manifest of nothing but such speakers keeps nobody: it is taken as it is.

    Args:
        source: What the corpus was read from.
        corpus: To be learnt from.

    Raises:
        UsageError: Speakers of it stand in the manifest's split eval or test as well.
    """
    manifest = _find_manifest(source)
    if manifest is None:
        return
    name = manifest.resolve().parent.name
    rows = _read_rows(manifest, _SPEAKER_COLUMNS, None)
    kept = {
        f"{row.get('corpus') or name}/{row['speaker']}"
        for row in rows
        if row.get("split") in MEASURED_SPLITS
    }
    both = sorted(kept & set(corpus.by_speaker()))
    if both and any(row.get("split") not in MEASURED_SPLITS for row in rows):
        more = f" and {len(both) - _NAMED} more" if len(both) > _NAMED else ""
        raise UsageError(
            f"{', '.join(both[:_NAMED])}{more} stand in the split {' or '.join(MEASURED_SPLITS)} "
            f"of {manifest}: whoever is learnt cannot be measured with",
            hint="train on another split, --split train for example, or correct the manifest",
        )


def read_noise(source: Path, *, split: str | None = None) -> tuple[Path, ...]:
    """Files of noise or of rooms: a manifest's rows of one split, or a folder's audio files.

    Args:
        source: A CSV file with a column ``path``, or a folder with one in it, above it or beside
            it, or without.
        split: Keep the rows of this split only; files without a manifest have none.

    Raises:
        UsageError: There is none.
    """
    manifest = _find_manifest(source)
    if manifest is None:
        paths = _audio_files(source)
    else:
        rows = _read_rows(manifest, _NOISE_COLUMNS, split)
        folder = manifest.resolve().parent
        # One manifest may list rooms' responses in a folder beside the noise.
        inside = source.resolve() if source.is_dir() else folder
        listed = [_locate(folder, row["path"]) for row in rows]
        paths = [path for path in listed if inside in path.parents and path.is_file()]
    if not paths:
        of_split = f" of split {split!r}" if split else ""
        raise UsageError(f"no noise files{of_split} in {source}", hint="see --noise in --help")
    return tuple(paths)


def _find_manifest(source: Path) -> Path | None:
    """The CSV itself, the one in the folder, or one above or beside it that lists files in it."""
    if source.is_file():
        if source.suffix.lower() != ".csv":
            raise UsageError(
                f"{source} is neither a folder nor a manifest CSV",
                hint="a manifest is a .csv file with at least the columns path and speaker",
            )
        return source
    if not source.is_dir():
        raise UsageError(f"{source} is not there", hint="name a folder or a manifest CSV")
    if (inside := source / "manifest.csv").is_file():
        return inside
    folder = source.resolve()
    for above in folder.parents[:_LEVELS_ABOVE]:
        manifest = above / "manifest.csv"
        if manifest.is_file() and _lists(manifest, folder):
            return manifest
    # The noise's manifest may list the rooms' responses in a folder beside it, and their splits.
    beside = sorted(folder.parent.glob("*/manifest.csv"))
    return next((manifest for manifest in beside if _lists(manifest, folder)), None)


def _lists(manifest: Path, folder: Path) -> bool:
    """Whether any of a manifest's files is in that folder; a foreign CSV lists none."""
    try:
        rows = _read_rows(manifest, _NOISE_COLUMNS, None)
    except UsageError:
        return False
    return any(folder in _locate(manifest.parent, row["path"]).parents for row in rows)


def _read_rows(manifest: Path, columns: Sequence[str], split: str | None) -> list[dict[str, str]]:
    try:
        with io.StringIO(read_text(manifest, MAX_MANIFEST_BYTES), newline="") as file:
            reader = csv.DictReader(file)
            names = reader.fieldnames or []
            missing = [name for name in columns if name not in names]
            if missing:
                raise UsageError(
                    f"manifest {manifest} has no column {' and no column '.join(missing)}",
                    hint=f"its first line must name the columns; it says {', '.join(names)!r}",
                )
            if split is not None and "split" not in names:
                raise UsageError(
                    f"manifest {manifest} has no column split, so there is no split {split!r}",
                    hint="leave --split out, or add the column",
                )
            rows = [{name: value or "" for name, value in row.items() if name} for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"manifest {manifest} cannot be read: {error}") from error
    chosen = [row for row in rows if split is None or row["split"] == split]
    if not chosen:
        of_split = f" of split {split!r}" if split else ""
        raise UsageError(f"manifest {manifest} has no rows{of_split}")
    return chosen


def _locate(folder: Path, listed: str) -> Path:
    """Relative to the manifest's folder, or to its parent where paths name that folder first.

    Args:
        folder: The manifest's, resolved.
        listed: As the manifest has it.
    """
    path = folder / listed
    if not path.exists() and (above := folder.parent / listed).exists():
        return above
    return path


def _from_rows(manifest: Path, rows: list[dict[str, str]], within: Path | None) -> Corpus:
    recordings: list[Recording] = []
    skips: list[Skip] = []
    folder = manifest.resolve().parent
    for row in rows:
        path = _locate(folder, row["path"])
        if within is not None and within not in path.parents:
            continue
        corpus = row.get("corpus") or folder.name
        half = row.get("half", "")
        if not path.is_file():
            skips.append(Skip(path, "missing"))
        elif not row["speaker"]:
            skips.append(Skip(path, "the manifest names no speaker"))
        elif half not in ("", *HALVES):
            skips.append(Skip(path, f"half must be a or b, not {half!r}"))
        else:
            recordings.append(
                Recording(
                    path=path,
                    corpus=corpus,
                    speaker=f"{corpus}/{row['speaker']}",
                    session=row.get("session", ""),
                    half=half,
                    licence=row.get("licence") or "not stated",
                )
            )
    return Corpus(recordings=_with_halves(recordings), skips=tuple(skips))


def _read_folders(source: Path) -> Corpus:
    corpus = source.resolve().name
    recordings = [
        Recording(
            path=path,
            corpus=corpus,
            speaker=f"{corpus}/{folder.name}",
            session=path.relative_to(folder).parent.as_posix().strip("."),
            half="",
        )
        for folder in sorted(path for path in source.iterdir() if path.is_dir())
        for path in _audio_files(folder)
    ]
    return Corpus(recordings=_with_halves(recordings), skips=())


def _audio_files(folder: Path) -> list[Path]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in files if path.suffix.lower() in AUDIO_SUFFIXES)


def _with_halves(recordings: list[Recording]) -> tuple[Recording, ...]:
    """A speaker's first stated half holds; whoever has none goes to a and b by turns."""
    half_of: dict[str, str] = {}
    for recording in recordings:
        half_of[recording.speaker] = half_of.get(recording.speaker) or recording.half
    undecided = sorted(speaker for speaker, half in half_of.items() if not half)
    half_of |= {speaker: HALVES[turn % 2] for turn, speaker in enumerate(undecided)}
    return tuple(replace(each, half=half_of[each.speaker]) for each in recordings)
