"""``voiceguard doubtful``: labels that may lie, as two unrelated encoders see it."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from voiceguard.cli.measuring.corpora import (
    DirArgument,
    SplitOption,
    check_distinct,
    load_kit,
    show_progress,
    tell_skips,
)
from voiceguard.cli.options import ConfigOption, DeviceOption, JsonOption, StateDirOption
from voiceguard.cli.output import print_json, print_table, stderr, stdout
from voiceguard.encoder.library import find_model, resolve_name
from voiceguard.errors import UsageError, VoiceguardError
from voiceguard.lab.corpora.corpus import read_corpus
from voiceguard.lab.corpora.embedding_cache import RememberingEncoder, cache_dir
from voiceguard.lab.evaluation.encoders.doubtful import NUM_WITNESSES, find_doubtful
from voiceguard.service.kit import installed_in, open_encoder
from voiceguard.validation.parsing import read_json_object

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from voiceguard.lab.evaluation.encoders.doubtful import Doubt, Doubts
    from voiceguard.protocols import Encoder
    from voiceguard.service.kit import Kit


def doubtful(
    directory: DirArgument,
    model: Annotated[
        list[str],
        typer.Option(help="A witness: an encoder as `evaluate` takes it. Name two."),
    ],
    split: SplitOption = None,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    device: DeviceOption = None,
    json_lines: JsonOption = False,
) -> None:
    """List labels that two unrelated encoders both call one person, or one label two people.

    Strangers who are the same person push every threshold up. Look at what is listed, and correct
    the manifest where it is right; nothing is changed here.
    """
    if len(set(model)) != NUM_WITNESSES:
        raise UsageError(
            f"two encoders must agree before a label is doubted, not {len(set(model))}",
            hint="name two, of which neither learnt from the other: --model A --model B",
        )
    corpus = read_corpus(directory, split=split)
    kit = load_kit(
        config, model[0], device, state_dir=state_dir, with_cohort=False, with_calibration=False
    )
    check_distinct(list(model), kit)
    _check_unrelated(model, installed_in(kit.settings))
    with ExitStack() as stack:
        witnesses: dict[str, Encoder] = {}
        for encoder in (kit.encoder, _other(kit, model[1])):
            remembering = stack.enter_context(RememberingEncoder(encoder, cache_dir()))
            witnesses[encoder.info.name] = remembering
        found = find_doubtful(kit, witnesses, corpus, track=show_progress)
    tell_skips(found.skips)
    if json_lines:
        print_json({**asdict(found), "skips": [str(skip.path) for skip in found.skips]})
        return
    _tell(found)


def _other(kit: Kit, name: str) -> Encoder:
    settings = kit.settings
    with stderr.status(f"loading {name}"):
        return open_encoder(
            settings.model_copy(update={"encoder": replace(settings.encoder, model=name)})
        )


def _check_unrelated(models: Sequence[str], models_dir: Path) -> None:
    """Refuses a pupil beside its teacher: they make the same mistakes.

    Raises:
        UsageError: By its card, one learnt from the other.
    """
    names = [resolve_name(each, models_dir) for each in models]
    for pupil, other in (names, reversed(names)):
        teacher = _teacher(pupil, models_dir)
        if teacher and resolve_name(teacher, models_dir) == other:
            raise UsageError(
                f"{pupil} learnt from {other}: they make the same mistakes, so that together they "
                "are one witness",
                hint="name an encoder of another family beside either",
            )


def _teacher(model: str, models_dir: Path) -> str | None:
    """By the recipe on its card; None: none, or there is no card."""
    try:
        card = read_json_object(find_model(model, models_dir).with_suffix(".json"))
        return str(dict(card["recipe"])["teacher"])
    except (VoiceguardError, OSError, ValueError, KeyError, TypeError):
        return None


def _tell(found: Doubts) -> None:
    names = list(dict.fromkeys(each.encoder for each in found.witnesses))
    limits = Table(title="Witnesses", box=None, header_style="bold")
    for name in ("corpus", "encoder"):
        limits.add_column(name)
    for name in ("one label's sessions: median", "one person from", "two people under"):
        limits.add_column(name, justify="right")
    for each in found.witnesses:
        limits.add_row(
            each.corpus,
            each.encoder,
            *(f"{cosine:.3f}" for cosine in (each.own_median, each.one_person, each.two_people)),
        )
    print_table(limits)
    stdout.print()
    _list("Labels that both call one person", found.one_person, names)
    _list("Sessions of one label that both call two people", found.several_people, names)
    stdout.print(
        f"{found.num_labels} labels, {found.num_pairs} pairs of them compared; cosines",
        markup=False,
    )


def _list(title: str, doubts: Sequence[Doubt], names: Sequence[str]) -> None:
    if not doubts:
        stdout.print(f"{title}: none", markup=False)
        return
    table = Table(title=title, box=None, header_style="bold")
    table.add_column("first")
    table.add_column("second")
    for name in names:
        table.add_column(name, justify="right")
    for each in doubts:
        table.add_row(each.first, each.second, *(f"{each.cosines[name]:.3f}" for name in names))
    print_table(table)
    stdout.print()
