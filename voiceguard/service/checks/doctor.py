"""What can be wrong with an installation, one small check each: ``voiceguard doctor`` runs them.

Blocking, beside a running daemon and without disturbing it: nothing is written and no device is
opened; at the broker, messages are tried out on topics of its own and removed, unless it is to be
read only. What depends on a configuration that is wrong is skipped. Every check says what it found
and, unless all is well, how to mend it. They come in the order in which things must work: program,
model, speech, microphone, state, broker.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import shutil
import sqlite3
import stat
import sys
from importlib import metadata
from typing import TYPE_CHECKING, Any

from voiceguard.encoder.runtimes import PACKAGES
from voiceguard.errors import VoiceguardError, install_command
from voiceguard.mqtt import embedded
from voiceguard.mqtt.trial import check_broker, try_broker
from voiceguard.paths import PRIVATE_DIR_MODE, find_config_file, history_file, state_dir
from voiceguard.service.checks.check import Check, Status
from voiceguard.service.checks.microphone import check_microphone
from voiceguard.service.checks.names import check_named
from voiceguard.service.checks.speech import check_overlap, check_speech_judge
from voiceguard.settings import load_settings
from voiceguard.types import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from voiceguard.settings import Settings

MIN_FREE_MB = 50
"""Less than this on the state directory's disk and voiceprints or history may not be saved."""


def examine(
    config_file: Path | None, overrides: Mapping[str, Any], *, is_read_only: bool = False
) -> Iterator[Check]:
    """Runs every check, one after the other; yields each result as soon as it is there.

    Args:
        config_file: As ``--config``; without it the usual places.
        overrides: What the command line sets, nested as the settings are.
        is_read_only: Publishes nothing, not even to topics of its own.
    """
    yield check_python()
    yield check_runtimes()
    config, settings = check_config(config_file, overrides)
    yield config
    if settings is None:
        for name in (
            "model",
            "speech",
            "overlap",
            "microphone",
            "state directory",
            "key",
            "voiceprints",
            "history",
            "broker",
        ):
            yield Check.skipped(name)
        return
    model, encoder_id = check_model(settings)
    yield model
    yield check_speech_judge(settings)
    yield check_overlap(settings)
    yield check_microphone(settings)
    yield check_state_dir(settings)
    yield from check_voiceprints(settings, encoder_id)
    yield check_history(settings)
    yield check_broker_reachable(settings, is_read_only=is_read_only)


# --- the program ----------------------------------------------------------------------------


def check_python() -> Check:
    """Which Python runs which voiceguard."""
    where = f"{sys.executable}, {platform.system()} {platform.machine()}"
    return Check(
        "program", Status.OK, f"voiceguard {VERSION}, {platform.python_version()}, {where}"
    )


def check_runtimes() -> Check:
    """Which runtimes there are to compute embeddings with; none of them is loaded for it."""
    there = {name: _version(package) for name, package in PACKAGES.items()}
    found = ", ".join(f"{PACKAGES[name]} {version}" for name, version in there.items() if version)
    if not found:
        remedy = install_command(PACKAGES["onnx"])
        return Check("runtimes", Status.FAIL, "neither onnxruntime nor torch is installed", remedy)
    if not there["torch"]:
        found += "; torch is not installed, and not needed"
    return Check("runtimes", Status.OK, found)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def check_config(
    config_file: Path | None, overrides: Mapping[str, Any]
) -> tuple[Check, Settings | None]:
    """Reads the configuration; None where it can't be: what it means nobody can tell."""
    try:
        path = find_config_file(config_file)
        settings = load_settings(config_file, **overrides)
    except VoiceguardError as error:
        return Check.failed("configuration", error), None
    try:
        check_named(settings)
    except VoiceguardError as error:
        return Check.failed("configuration", error), settings
    found = str(path) if path is not None else "built-in defaults, no file"
    return Check("configuration", Status.OK, found), settings


# --- the model ------------------------------------------------------------------------------


def check_model(settings: Settings) -> tuple[Check, str | None]:
    """Loads the encoder as the daemon does; gives its id, or None where it does not load."""
    from voiceguard.service.kit import assemble  # noqa: PLC0415  # slow to import

    try:
        kit = assemble(settings, overlap=False)
    except VoiceguardError as error:
        return Check.failed("model", error), None
    info = kit.encoder.info
    detail = f"{info.name}, {info.num_parameters / 1e6:.1f} M parameters, id {info.encoder_id}"
    if info.runtime:
        detail += f", run by {PACKAGES[info.runtime]}"
    if kit.calibration is None:
        check = Check(
            "model",
            Status.WARN,
            f"{detail}; not calibrated, so every decision will be inconclusive",
            "`voiceguard calibrate DIR` makes a calibration; `voiceguard models use default` goes "
            "back to the shipped encoder",
        )
    else:
        check = Check("model", Status.OK, f"{detail}, calibrated")
    return check, info.encoder_id


# --- state ----------------------------------------------------------------------------------


def check_state_dir(settings: Settings) -> Check:
    """Whether voiceprints and history can be kept, and nobody else can read them."""
    directory = state_dir(settings.state_dir)
    name = "state directory"
    existing = next(path for path in (directory, *directory.parents) if os.path.lexists(path))
    if not existing.is_dir():
        return Check(name, Status.FAIL, f"{existing} is not a directory", "move that file away")
    if not os.access(existing, os.W_OK | os.X_OK):
        return Check(
            name,
            Status.FAIL,
            f"{directory}: no permission to write into {existing}",
            f"run as its owner, `chown` it to uid {os.getuid()}, or choose another --state-dir",
        )
    free_mb = shutil.disk_usage(existing).free / 1e6
    if free_mb < MIN_FREE_MB:
        return Check(name, Status.WARN, f"{directory}: only {free_mb:.0f} MB free", "free some")
    if existing != directory:
        return Check(name, Status.OK, f"{directory}, made when it is first needed")
    mode = stat.S_IMODE(directory.stat().st_mode)
    if mode & ~PRIVATE_DIR_MODE:
        return Check(
            name,
            Status.WARN,
            f"{directory} is open to others (mode {mode:04o})",
            f"chmod 700 {directory}",
        )
    return Check(name, Status.OK, str(directory))


def check_voiceprints(settings: Settings, encoder_id: str | None) -> Iterator[Check]:
    """The key, and every voiceprint opened with it."""
    from voiceguard.service.kit import open_store  # noqa: PLC0415

    store = open_store(settings)
    try:
        key_path, names = store.key_path, store.names()
        loaded = store.load_all(encoder_id=encoder_id)
    except VoiceguardError as error:
        yield Check.failed("key", error)
        return
    if names or os.path.lexists(key_path):
        yield _check_key(key_path)
    else:
        yield Check("key", Status.OK, f"{key_path}, made at the first enrollment")
    speakers = ", ".join(each.speaker for each in loaded.voiceprints)
    if not names:
        yield Check(
            "voiceprints", Status.WARN, "nobody is enrolled", "`voiceguard enroll NAME` does it"
        )
    elif loaded.voiceprints:
        yield Check("voiceprints", Status.OK, f"{len(loaded.voiceprints)} readable: {speakers}")
    for refusal in loaded.refusals:
        yield Check("voiceprints", Status.FAIL, refusal.reason, refusal.hint)


def _check_key(path: Path) -> Check:
    from voiceguard.voiceprints.key import load_key  # noqa: PLC0415

    try:
        load_key(path)
    except VoiceguardError as error:
        return Check.failed("key", error)
    return Check("key", Status.OK, str(path))


def check_history(settings: Settings) -> Check:
    """Whether past decisions can be read; straight from the file, which History would mend."""
    path = history_file(state_dir(settings.state_dir))
    if not os.path.lexists(path):
        return Check("history", Status.OK, "empty")
    query = "SELECT count(*), max(decided_at) FROM decisions"
    try:
        with contextlib.closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        ) as database:
            num_decisions, last = database.execute(query).fetchone()
    except sqlite3.Error as error:
        return Check(
            "history",
            Status.WARN,
            f"{path}: {error}",
            "if it belongs to another user run as that one; a damaged file is set aside at the "
            "next decision",
        )
    return Check("history", Status.OK, f"{num_decisions} decisions, the last {last or 'never'}")


# --- the broker -----------------------------------------------------------------------------


def check_broker_reachable(settings: Settings, *, is_read_only: bool = False) -> Check:
    """Does what the daemon does, as somebody else and elsewhere; read only: connects once."""
    broker = settings.mqtt.broker
    if broker == "none":
        return Check("broker", Status.OK, "none: decisions are not published")
    if broker == "embedded":
        if not embedded.is_installed():
            return Check(
                "broker",
                Status.FAIL,
                "the embedded broker needs amqtt, which is not installed",
                install_command("amqtt"),
            )
        return Check("broker", Status.WARN, "embedded: for first runs only", "--broker mqtt://HOST")
    try:
        detail = asyncio.run((check_broker if is_read_only else try_broker)(settings.mqtt))
    except VoiceguardError as error:
        return Check.failed("broker", error)
    return Check("broker", Status.OK, detail)
