"""What is needed beside speech: how it arrives in tests, and other material to fit with.

In: folders or manifests of noise and of rooms. Out: ``Material``. To be fitted with and to be
tested with, files are never the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from voiceguard.errors import UsageError
from voiceguard.lab.corpora.conditions import CLEAN, Noisy, Reverberant, make_conditions
from voiceguard.lab.corpora.corpus import read_noise
from voiceguard.lab.evaluation.plan import Plan

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from voiceguard.lab.corpora.conditions import Condition

_TO_TEST, _TO_FIT = "eval", "train"
FIT_NOISE = "10 dB of other noises"
FIT_ROOM = "reverberant in other rooms"
FIT_SNR_DB = 10.0
_USUAL_NOISE = "10 dB"
"""Heard at every length by the daemon; other conditions at one length and in whole utterances."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """How test speech arrives, and what calibrations are fitted with."""

    conditions: tuple[Condition, ...]
    """Clean first."""
    fitting: tuple[Condition, ...]
    """Beside clean."""
    facts: dict[str, str]
    """For the head of a report."""

    def plan(self, *, num_enroll: int) -> Plan:
        """Everything at every length, but most conditions at one of them for the daemon."""
        tested = [each.name for each in self.conditions[1:] if each.name != _USUAL_NOISE]
        return Plan(
            num_enroll=num_enroll,
            conditions=self.conditions,
            fitting=self.fitting,
            brief=(FIT_ROOM, *tested),
        )


class Files(NamedTuple):
    """Of noise, or rooms' responses."""

    to_test: tuple[Path, ...]
    to_fit: tuple[Path, ...]


def read_material(
    noise: Path | None, rir: Path | None, listed: str | None = None, *, split: str | None = None
) -> Material:
    """Finds the files.

    Args:
        noise: For 10, 5 and 0 dB; None: no such condition.
        rir: Impulse responses; None: no reverberant condition.
        listed: Names of conditions, separated by commas; None: all that the material allows.
        split: Of the speech; noise and rooms are of the same where their manifest has it.

    Raises:
        UsageError: There are no files, or a name means no condition.
    """
    noises, rooms = divided(noise, split), divided(rir, split)
    conditions = make_conditions(noises.to_test, rooms.to_test)
    if listed is not None:
        conditions = _chosen(conditions, [name.strip() for name in listed.split(",")])
    return Material(
        conditions=conditions,
        fitting=fit_conditions(noises.to_fit, rooms.to_fit),
        facts={
            name: f"{source}: {len(files.to_test)} files to test with, {len(files.to_fit)} to fit"
            for name, source, files in (("noise", noise, noises), ("rooms", rir, rooms))
            if source is not None
        },
    )


def fit_conditions(
    noise_files: Sequence[Path],
    room_files: Sequence[Path] = (),
    *,
    names: tuple[str, str] = (FIT_NOISE, FIT_ROOM),
) -> tuple[Condition, ...]:
    """What calibrations are fitted with, beside clean speech.

    Args:
        noise_files: Others than those to test with.
        room_files: Likewise.
        names: Of noise and rooms, in the calibration's tails.
    """
    of_noise, of_rooms = names
    conditions: list[Condition] = []
    if noise_files:
        conditions.append(Noisy(FIT_SNR_DB, noise_files, name=of_noise))
    if room_files:
        conditions.append(Reverberant(room_files, name=of_rooms))
    return tuple(conditions)


def conditions_to_fit(noise: Path | None, rir: Path | None) -> tuple[Condition, ...]:
    """What ``calibrate`` fits with beside clean speech: the files of the split train.

    Raises:
        UsageError: There are none.
    """
    files = [() if source is None else read_noise(source, split="train") for source in (noise, rir)]
    return fit_conditions(*files, names=(f"{FIT_SNR_DB:g} dB", "reverberant"))


def divided(source: Path | None, split: str | None = None) -> Files:
    """By the splits eval and train; a folder without them is divided in two.

    Args:
        source: A folder or manifest; None: no files.
        split: To test with instead of eval, where the manifest has it; never train.

    Raises:
        UsageError: There are no files.
    """
    if source is None:
        return Files((), ())
    fit_files = read_noise(source, split=_TO_FIT)
    try:
        test_files = read_noise(source, split=_TO_TEST if split in (None, _TO_FIT) else split)
    except UsageError:
        test_files = read_noise(source, split=_TO_TEST)
    if test_files == fit_files and len(test_files) > 1:
        return Files(test_files[::2], test_files[1::2])
    return Files(test_files, fit_files)


def _chosen(conditions: tuple[Condition, ...], names: list[str]) -> tuple[Condition, ...]:
    known = [condition.name for condition in conditions]
    for name in names:
        if name not in known:
            raise UsageError(
                f"there is no condition {name!r}; with this material: {', '.join(known)}",
                hint="noise needs --noise DIR, reverberant --rir DIR",
            )
    if CLEAN not in names:
        raise UsageError(
            "clean speech is always measured: the other conditions are compared with it",
            hint=f"--conditions '{CLEAN},{','.join(names)}'",
        )
    return tuple(condition for condition in conditions if condition.name in names)
