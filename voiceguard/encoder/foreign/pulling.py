"""Fetches the files of a published encoder from the hub (extra ``hub``).

In: an entry of the catalogue and a directory of one's own. Out: the files in it, each checked, and
the commit that they are of. What arrived before an interruption stays there as ``*.partial``, and
the next call goes on from it. Nothing that arrives is opened here: reading it is the importer's.

The hub's address is huggingface_hub's business, and so ``HF_ENDPOINT`` chooses another; so are
``HF_HUB_OFFLINE`` and the timeouts. No token is sent: everything in the catalogue is public.
"""

from __future__ import annotations

import errno
import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from voiceguard.errors import EncoderError, StateError, UsageError, install_command
from voiceguard.paths import make_private_dir

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from voiceguard.encoder.foreign.catalogue import HubFile, KnownEncoder

MAX_FILE_BYTES = 2**31
"""The largest speaker encoders have 1.3 GB; a larger file is something else."""

_DISK_REFUSES = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS})
"""What writing says, without a file's name; anything else is the network's."""

_AGAIN = "Give the command again: it goes on where it stopped."


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulled:
    """What lies in the directory now."""

    path: Path
    """What the importer reads: the one file, or the directory of several."""
    commit: str
    """Of the repository, 40 hexadecimal digits."""
    sha256: dict[str, str]
    """By file name."""

    def source(self, known: KnownEncoder) -> str:
        """For the card: repository, commit and hashes of what was downloaded."""
        hashes = ", ".join(f"{name} sha256 {digest}" for name, digest in self.sha256.items())
        return f"{known.hub}@{self.commit} ({hashes})"


def pull(
    known: KnownEncoder,
    directory: Path,
    *,
    on_progress: Callable[[str, int, int | None], None] = lambda _name, _done, _total: None,
) -> Pulled:
    """Downloads what is not there yet.

    Args:
        known: Which encoder.
        directory: Made where it is missing; nothing else may be in it.
        on_progress: Called with a file's name, bytes that are here, and how many it has.

    Raises:
        UsageError: It is not published on the hub.
        EncoderError: huggingface_hub is not installed; the hub can't be reached, knows no such
            repository, revision or file, or broke off; what arrived is not what it should be.
        StateError: The directory can't be written to.
    """
    if known.hub is None:
        raise UsageError(
            f"{known.name} is not on the hub: it is published at {known.elsewhere}",
            hint=f"Fetch it there, then `voiceguard models import FILE --name {known.name}`.",
        )
    check_package()
    make_private_dir(directory)
    commit = known.revision
    hashes = {}
    for file in known.files:
        with _Told(known, file):
            commit, hashes[file.name] = _fetch(known, file, commit, directory, on_progress)
    assert commit is not None
    path = directory / known.files[0].name if len(known.files) == 1 else directory
    return Pulled(path=path, commit=commit, sha256=hashes)


def _fetch(
    known: KnownEncoder,
    file: HubFile,
    revision: str | None,
    directory: Path,
    on_progress: Callable[[str, int, int | None], None],
) -> tuple[str, str]:
    """One file, whole and checked; the commit that it is of, and its sha256."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url  # noqa: PLC0415 - an extra
    from huggingface_hub.file_download import http_get  # noqa: PLC0415

    assert known.hub is not None
    endpoint = os.environ.get("HF_ENDPOINT") or None
    url = hf_hub_url(known.hub, file.name, revision=revision or "main", endpoint=endpoint)
    found = get_hf_file_metadata(url, token=False, endpoint=endpoint)
    commit = _checked_commit(known, found.commit_hash)
    if found.size is not None and found.size > MAX_FILE_BYTES:
        raise EncoderError(
            f"{file.name} has {found.size} bytes; at most {MAX_FILE_BYTES} are read",
            hint="No speaker encoder is that large: is it the right repository and file?",
        )
    target = directory / file.name
    # Named after what it is a part of, so that parts of two versions are never put together.
    partial = directory / f"{file.name}.{str(found.etag)[:16]}.partial"
    if not target.exists():
        with partial.open("ab") as out:
            http_get(
                found.location,
                out,
                resume_size=out.tell(),
                expected_size=found.size,
                tqdm_class=_bar(file.name, on_progress),
            )
        partial.replace(target)
    digest = _digest(target)
    expected = file.sha256 or (found.etag if _is_sha256(found.etag) else None)
    if expected is not None and digest != expected:
        target.unlink()
        raise EncoderError(
            f"{file.name} of {known.hub}@{commit} is not what it should be: its sha256 is "
            f"{digest}, expected {expected}; it was deleted",
            hint="Its publisher has changed it, or somebody on the way has: don't use it.",
        )
    return commit, digest


def _checked_commit(known: KnownEncoder, commit: str | None) -> str:
    if commit is None:
        raise EncoderError(
            f"what answers for {known.hub} is no hub: it names no commit",
            hint="Correct HF_ENDPOINT, or unset it.",
        )
    pinned = known.revision
    if pinned is not None and _is_commit(pinned) and commit != pinned:
        raise EncoderError(
            f"the hub gave commit {commit} of {known.hub} where {pinned} was asked for",
            hint="Correct HF_ENDPOINT, or unset it.",
        )
    return commit


def _bar(name: str, on_progress: Callable[[str, int, int | None], None]) -> Any:  # noqa: ANN401
    """A class that huggingface_hub takes for its progress bar (tqdm's), and that draws nothing."""

    class Reporting:
        def __init__(self, *_: object, **known: Any) -> None:  # noqa: ANN401
            self._size, self._here = known.get("total"), int(known.get("initial") or 0)

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            return None

        def update(self, num_bytes: float = 1) -> None:
            self._here += int(num_bytes)
            on_progress(name, self._here, self._size)

    return Reporting


class _Told:
    """Turns what huggingface_hub and the network raise into words for the person."""

    def __init__(self, known: KnownEncoder, file: HubFile) -> None:
        self._known, self._file = known, file

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None or isinstance(error, (EncoderError, StateError)):
            return
        if isinstance(error, Exception):
            told = self._told(error)
            if told is not None:
                raise told from error

    def _told(self, error: Exception) -> Exception | None:
        where = os.environ.get("HF_ENDPOINT") or "the hub"
        for kind, message, hint in self._answers(where):
            if isinstance(error, kind):
                status = getattr(getattr(error, "response", None), "status_code", "?")
                return EncoderError(message.format(status=status), hint=hint)
        if isinstance(error, OSError) and (
            error.filename is not None or error.errno in _DISK_REFUSES
        ):
            return StateError(
                f"cannot write {error.filename or self._file.name}: {error.strerror}",
                hint=f"Free some space, or choose another --state-dir. {_AGAIN}",
            )
        if isinstance(error, OSError) or type(error).__module__.startswith("http"):
            # httpx's errors, under whatever name huggingface_hub brings it along
            return EncoderError(
                f"{self._file.name} of {self._known.hub} did not arrive from {where}: "
                f"{error or type(error).__name__}",
                hint=f"Is there a network? {_AGAIN}",
            )
        return None

    def _answers(self, where: str) -> tuple[tuple[type[Exception], str, str], ...]:
        """What the hub may say, the most particular first, and what that means."""
        from huggingface_hub import errors  # noqa: PLC0415 - an extra

        hub, file = self._known.hub, self._file.name
        revision = self._known.revision or "main"
        return (
            (errors.GatedRepoError, f"{hub} asks for a login at {where}", "Fetch it by hand."),
            (
                errors.RevisionNotFoundError,
                f"{hub} has no revision {revision} at {where}",
                "It was rewritten by its publisher, or --revision is mistyped.",
            ),
            (
                errors.EntryNotFoundError,
                f"{hub} has no file {file} in revision {revision}",
                "Name the files that it has with --file.",
            ),
            (
                errors.RepositoryNotFoundError,
                f"there is no repository {hub} at {where}, or it is private",
                "Check its name.",
            ),
            (
                errors.OfflineModeIsEnabled,
                f"{file} can't be fetched: HF_HUB_OFFLINE forbids it",
                "Unset it; or fetch the files elsewhere and `voiceguard models import` them.",
            ),
            (errors.HfHubHTTPError, f"{where} answered {{status}} for {file} of {hub}", _AGAIN),
        )


def check_package() -> None:
    """Tells a person early that the extra is missing.

    Raises:
        EncoderError: huggingface_hub is not installed.
    """
    try:
        import huggingface_hub  # noqa: F401, PLC0415 - an extra
    except ImportError as error:
        raise EncoderError(
            "pulling an encoder needs the package huggingface_hub",
            hint=f"Run `{install_command('huggingface_hub')}`, or fetch the files yourself and "
            "import them.",
        ) from error


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_sha256(text: str | None) -> bool:
    """Large files' etags are their sha256; small ones' are git's own hash."""
    return text is not None and len(text) == 64 and _is_hex(text)


def _is_commit(text: str) -> bool:
    return len(text) == 40 and _is_hex(text)


def _is_hex(text: str) -> bool:
    return set(text) <= set("0123456789abcdef")
