"""What ``evaluate``, ``calibrate`` and ``cohort`` share: labelled speech, a kit, progress."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from rich.progress import track

from voiceguard.cli.output import stderr
from voiceguard.cli.settings import configured
from voiceguard.encoder.library import DEFAULT_MODEL, cohort_path, resolve_name
from voiceguard.errors import UsageError
from voiceguard.lab.corpora.embedding_cache import RememberingEncoder, cache_dir
from voiceguard.lab.corpora.exclusion import Exclusion
from voiceguard.scoring.snorm import load_cohort
from voiceguard.service.kit import Kit, assemble, installed_in, open_encoder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from voiceguard.lab.corpora.corpus import Skip

DirArgument = Annotated[
    Path,
    typer.Argument(
        metavar="DIR",
        help="A folder per speaker, a manifest CSV, or a folder with one in or above it.",
    ),
]
SplitOption = Annotated[
    str | None, typer.Option(help="Only this split of the manifest.", show_default=False)
]
ExcludeOption = Annotated[
    list[Exclusion] | None,
    typer.Option(
        metavar="COLUMN=PATTERN",
        parser=Exclusion.parse,
        help="Leave out the manifest's rows that match, 'licence=*GPL*' for example. Repeat it.",
        show_default=False,
    ),
]
EnrollOption = Annotated[
    int, typer.Option("--enroll-utterances", min=1, help="Utterances per voiceprint.")
]

_T = TypeVar("_T")
_NAMED_SKIPS = 5
_TOLD_EVERY_S = 60.0


def load_kit(
    config: Path | None,
    model: str | None,
    device: str | None,
    *,
    state_dir: Path | None = None,
    with_cohort: bool = True,
    with_calibration: bool = True,
    with_overlap: bool = False,
) -> Kit:
    """The parts, without the data that is to be made anew.

    Whether two people speak at once matters to what the daemon would decide, and to nothing else.
    """
    settings = configured(config, state_dir=state_dir, model=model, device=device)
    with stderr.status("loading the encoder"):
        if with_calibration:
            return assemble(settings, overlap=with_overlap)
        encoder = open_encoder(settings)
        kit = Kit(settings=settings, encoder=encoder, cohort=None, calibration=None)
        path = cohort_path(settings.encoder.model, installed_in(settings))
        if with_cohort and path.exists():
            kit = replace(kit, cohort=load_cohort(path, encoder_id=encoder.info.encoder_id))
        return kit


@contextmanager
def measuring_kit(
    config: Path | None,
    model: str | None,
    device: str | None,
    *,
    state_dir: Path | None = None,
    with_cohort: bool = True,
    with_calibration: bool = True,
) -> Iterator[Kit]:
    """The same with an encoder that remembers."""
    kit = load_kit(
        config,
        model,
        device,
        state_dir=state_dir,
        with_cohort=with_cohort,
        with_calibration=with_calibration,
    )
    with RememberingEncoder(kit.encoder, cache_dir()) as remembering:
        yield replace(kit, encoder=remembering)


def check_distinct(models: Sequence[str | None], kit: Kit) -> None:
    """Refuses one encoder under two names: "default" is the one in use, not the shipped one."""
    directory = installed_in(kit.settings)
    meant = [resolve_name(each, directory) for each in models if each is not None]
    if twice := {each for each in meant if meant.count(each) > 1}:
        raise UsageError(
            f"--model {twice.pop()} and --model default are one encoder: it is the one in use",
            hint=f"the shipped one is --model {DEFAULT_MODEL}",
        )


def show_progress(items: Sequence[_T], description: str) -> Iterable[_T]:
    """A ``Track`` on standard error: a bar on a terminal, else a line a minute."""
    if not stderr.is_terminal:
        return told_now_and_then(items, description)
    return track(items, description, console=stderr, transient=True)


def told_now_and_then(
    items: Sequence[_T], description: str, clock: Callable[[], float] = time.monotonic
) -> Iterator[_T]:
    """The items, and once a minute a line on standard error that says how many are done."""
    told_at = clock()
    for number, item in enumerate(items):
        if (now := clock()) - told_at >= _TOLD_EVERY_S:
            stderr.print(f"{description}: {number} of {len(items)}", markup=False)
            told_at = now
        yield item


def tell_skips(skips: Sequence[Skip]) -> None:
    """Names the first few files that take no part, and counts the others by reason."""
    for skip in skips[:_NAMED_SKIPS]:
        stderr.print(f"left out: {skip.path}: {skip.reason}", markup=False)
    if len(skips) > _NAMED_SKIPS:
        reasons = Counter(skip.reason for skip in skips[_NAMED_SKIPS:]).most_common(3)
        counted = ", ".join(f"{count} x {reason}" for reason, count in reasons)
        stderr.print(f"left out as well: {counted}", markup=False)
