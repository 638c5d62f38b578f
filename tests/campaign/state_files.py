"""Mutated files of the state directory: each is believed or refused by name, whatever it holds.

Voiceprints, kept audio and exports are mutated outside and inside: damaged as they lie on the disk,
and sealed anew, with the right key, around a body that nobody foresaw. Cards, sidecars,
calibrations, cohorts, settings, keys and the history are damaged or filled with hostile values.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import structlog

import voiceguard
from tests.campaign.documents import damaged, hostile_json
from tests.campaign.protocol import ViolationError
from tests.fakes import make_decision
from tests.voiceprints.people import make_audio, make_person
from voiceguard.cli.history import _explain, _show
from voiceguard.decisions.history import History
from voiceguard.decisions.wire import decision_payload
from voiceguard.encoder.card.native import read_card
from voiceguard.encoder.foreign.programs.sidecar import read_sidecar
from voiceguard.encoder.library import DEFAULT_MODEL, calibration_path, cohort_path
from voiceguard.errors import VoiceguardError
from voiceguard.paths import history_file
from voiceguard.scoring.calibration import load_calibration
from voiceguard.scoring.snorm import load_cohort
from voiceguard.service import encoders
from voiceguard.settings import load_settings
from voiceguard.voiceprints import VoiceprintStore, envelope, kept_audio, transfer
from voiceguard.voiceprints import format as file_format
from voiceguard.voiceprints.envelope import LENGTH
from voiceguard.voiceprints.key import load_key
from voiceguard.voiceprints.receiving import read_export
from voiceguard.voiceprints.transfer import Parcel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.campaign.protocol import Campaign, Figure

PASSPHRASE = "korrekte batterie heftklammer"
MAX_FILE_S = 10.0
"""On a machine that does much else; the first of each kind also imports what reads it."""

Attempt: TypeAlias = "Callable[[Path, np.random.Generator], None]"
"""Makes a file in an empty directory, reads it; raises what reading it raises."""


class State:
    """The right files, made once."""

    def __init__(self, state: Path) -> None:
        self.anna = make_person("anna")
        self.audio = make_audio(self.anna)
        self.store = VoiceprintStore(state, environ={})
        self.store.save(self.anna, audio=self.audio)
        self.key = load_key(self.store.key_path, {})
        transfer._SCRYPT_N = 1 << 4  # nothing here guesses
        self.export = transfer.seal([Parcel(voiceprint=self.anna, audio=self.audio)], PASSPHRASE)

    # --- what the store seals -------------------------------------------------------------------

    def voiceprint(self, _folder: Path, rng: np.random.Generator) -> None:
        """Damaged, or another body or header under the right key."""
        path = self.store.directory / "anna.voiceprint"
        whole = path.read_bytes()
        body = _rebodied(file_format.pack(self.anna), rng)
        content = _sealed_or_damaged(
            lambda: envelope.seal(
                file_format._KIND, "anna", _fields({"encoder_id": "0" * 16}, rng), body, self.key
            ),
            whole,
            rng,
        )
        self._judge(path, whole, content)

    def kept(self, _folder: Path, rng: np.random.Generator) -> None:
        """Likewise, of the audio."""
        path = self.store.directory / "anna.audio"
        whole = path.read_bytes()
        body = _rebodied(kept_audio.pack(self.audio), rng)
        fields = _fields({"enrolled_at": self.audio.enrolled_at.isoformat()}, rng)
        content = _sealed_or_damaged(
            lambda: envelope.seal(kept_audio._KIND, "anna", fields, body, self.key), whole, rng
        )
        try:
            path.write_bytes(content)
            self.store.load_audio(self.anna)
        finally:
            path.write_bytes(whole)

    def _judge(self, path: Path, whole: bytes, content: bytes) -> None:
        try:
            path.write_bytes(content)
            loaded = self.store.load_all()  # nobody else is named, and nothing is raised
            assert len(loaded.voiceprints) + len(loaded.refusals) == 1
            self.store.load("anna")
        finally:
            path.write_bytes(whole)

    def exported(self, folder: Path, rng: np.random.Generator) -> None:
        """Damaged, or another body under the right passphrase; imported where it is believed."""
        content = damaged(self.export, rng)
        if rng.random() < 0.7:
            real = transfer._pack
            transfer._pack = lambda parcels: _rebodied(real(parcels), rng)
            try:
                content = transfer.seal([Parcel(voiceprint=self.anna)], PASSPHRASE)
            finally:
                transfer._pack = real
        path = folder / "them.voiceguard"
        path.write_bytes(content)
        for parcel in transfer.unseal(read_export(path), PASSPHRASE):
            parcel.named("bob")


def _fields(fields: dict[str, str], rng: np.random.Generator) -> dict[str, str]:
    if rng.random() < 0.7:
        return fields
    try:
        made = json.loads(hostile_json(fields, rng))
    except (ValueError, RecursionError):  # too hostile for us
        return fields
    return made if isinstance(made, dict) else fields


def _rebodied(body: bytes, rng: np.random.Generator) -> bytes:
    """A body whose JSON, or what follows it, is another."""
    end = LENGTH.size + LENGTH.unpack_from(body)[0]
    if rng.random() < 0.2:
        return damaged(body, rng)
    text = hostile_json(json.loads(body[LENGTH.size : end]), rng)
    rest = body[end:] if rng.random() < 0.8 else damaged(body[end:], rng)
    return LENGTH.pack(len(text)) + text + rest


def _sealed_or_damaged(seal: Callable[[], bytes], whole: bytes, rng: np.random.Generator) -> bytes:
    return seal() if rng.random() < 0.7 else damaged(whole, rng)


# --- what lies open -------------------------------------------------------------------------


def _mutated(path: Path, rng: np.random.Generator) -> bytes:
    """A JSON file's content, damaged or hostile."""
    content = path.read_bytes()
    return damaged(content, rng) if rng.random() < 0.3 else hostile_json(json.loads(content), rng)


def card(folder: Path, rng: np.random.Generator) -> None:
    """An installed encoder's: read, and listed."""
    source = calibration_path(DEFAULT_MODEL).parent / f"{DEFAULT_MODEL}.json"
    directory = folder / "models" / "theirs"
    directory.mkdir(parents=True)
    path = directory / "card.json"
    path.write_bytes(_mutated(source, rng))
    (directory / "weights.safetensors").write_bytes(b"")
    encoders.rows(load_settings(None, state_dir=str(folder)))
    read_card(path)


def sidecar(folder: Path, rng: np.random.Generator) -> None:
    """Beside a program."""
    known = {
        "format": "voiceguard-program",
        "format_version": 1,
        "name": "campplus",
        "features": {"type": "kaldi", "num_mels": 80},
        "input": "feats",
        "output": "embs",
        "licence": "Apache-2.0",
    }
    program = folder / "theirs.onnx"
    program.write_bytes(b"")
    content = hostile_json(known, rng) if rng.random() < 0.8 else damaged(b'{"format": 1}', rng)
    (folder / "theirs.onnx.json").write_bytes(content)
    read_sidecar(program)


def calibration(folder: Path, rng: np.random.Generator) -> None:
    """That of the shipped encoder."""
    source = calibration_path(DEFAULT_MODEL)
    path = folder / "calibration.json"
    path.write_bytes(_mutated(source, rng))
    stated = json.loads(source.read_bytes())
    load_calibration(path, encoder_id=stated["encoder_id"], cohort_id=stated["cohort_id"])


def cohort(folder: Path, rng: np.random.Generator) -> None:
    """That of the shipped encoder."""
    content = cohort_path(DEFAULT_MODEL).read_bytes()
    path = folder / "cohort.safetensors"
    length = int.from_bytes(content[:8], "little")
    if rng.random() < 0.5:
        header = hostile_json(json.loads(content[8 : 8 + length]), rng)
        content = len(header).to_bytes(8, "little") + header + content[8 + length :]
    else:
        content = damaged(content[:4000], rng) + content[4000:]
    path.write_bytes(content)
    load_cohort(path, encoder_id="0" * 16)


def settings(folder: Path, rng: np.random.Generator) -> None:
    """The configuration file, with values of any kind."""
    source = Path(voiceguard.__file__).parent / "service" / "defaults" / "voiceguard.toml"
    lines = source.read_text(encoding="utf-8").splitlines()
    for number in rng.integers(len(lines), size=3):
        if "=" in lines[number]:
            name = lines[number].lstrip("# ").split("=")[0]
            lines[number] = f"{name}= {TOML[int(rng.integers(len(TOML)))]}"
    content = "\n".join(lines).encode("utf-8", "surrogatepass")
    path = folder / "voiceguard.toml"
    path.write_bytes(content if rng.random() < 0.7 else damaged(content, rng))
    load_settings(path)


TOML = (
    *("1e400", "nan", "-inf", "9" * 5000, "[" * 3000 + "]" * 3000, "''", '"\\u0000"', "true", "[]"),
    *("{}", "1979-05-27T07:32:00Z", "-1", "0", "0x7fffffffffffffffffff", "[[1],[2]]", '["x", 1]'),
    *("{a = {b = {c = 1}}}", '"' + "x" * 100_000 + '"', "07:32:00", '"$(reboot)"', "1" * 400),
)


def key(folder: Path, rng: np.random.Generator) -> None:
    """The store's."""
    path = folder / "voiceguard.key"
    path.write_bytes(damaged(b"0123456789abcdef" * 4 + b"\n", rng))
    path.chmod(0o600)
    load_key(path, {})


def history(folder: Path, rng: np.random.Generator) -> None:
    """A row, or a page, of the history; as the command shows it."""
    path = history_file(folder)
    payload = decision_payload(make_decision())
    kept = History(path)
    for number in range(3):
        kept.append({**payload, "decision_id": f"{number}"})
    kept.close()
    if rng.random() < 0.7:
        with sqlite3.connect(path) as connection:
            text = hostile_json(payload, rng)
            value = text if rng.random() < 0.1 else text.decode("utf-8", "replace")
            connection.execute("UPDATE decisions SET payload = ? WHERE id = 2", (value,))
        connection.close()
    else:
        path.write_bytes(damaged(path.read_bytes(), rng))
    try:
        for found in kept.recent():
            _show([found], "", json_lines=False)
            _explain(found, json_lines=False)
        kept.find("1")
        kept.forget("anna")
    finally:
        kept.close()


def attempts(state: State) -> dict[str, Attempt]:
    """Every kind of file, by its name in the table."""
    return {
        "voiceprint": state.voiceprint,
        "kept_audio": state.kept,
        "export": state.exported,
        **{each.__name__: each for each in (card, sidecar, calibration, cohort, settings, key)},
        "history": history,
    }


def mutate(seconds: float, seed: int, *, most: int = 10**9) -> dict[str, Figure]:
    """As ``CAMPAIGNS`` has it; at most so many files.

    Raises:
        ViolationError: A file was neither believed nor refused by name.
    """
    outcomes: Counter[str] = Counter()
    slowest_s = 0.0
    until_s = time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as made, _silence():
        kinds = attempts(State(Path(made)))
        names = sorted(kinds)
        for number in range(most):
            if time.monotonic() >= until_s:
                break
            name = names[number % len(names)]
            began_s = time.monotonic()
            outcomes[f"{name}_{_outcome(kinds[name], name, seed, number)}"] += 1
            slowest_s = max(slowest_s, took_s := time.monotonic() - began_s)
            if took_s > MAX_FILE_S and number >= len(names):
                raise ViolationError(f"seed {seed}, file {number}: {name} took {took_s:.1f} s")
    return {
        "files": sum(outcomes.values()),
        **sorted_figures(outcomes),
        "slowest_s": round(slowest_s, 2),
    }


def sorted_figures(outcomes: Counter[str]) -> dict[str, Figure]:
    """In the order of their names."""
    return {name: outcomes[name] for name in sorted(outcomes)}


def _outcome(attempt: Attempt, name: str, seed: int, number: int) -> str:
    rng = np.random.default_rng([seed, number])
    with tempfile.TemporaryDirectory() as folder:
        try:
            attempt(Path(folder), rng)
        except VoiceguardError as error:
            if len(str(error)) > 2000:
                raise ViolationError(
                    f"seed {seed}, file {number}: {name}: {str(error)[:100]}..., in "
                    f"{len(str(error))} characters"
                ) from error
            return "refused"
        except Exception as error:
            raise ViolationError(f"seed {seed}, file {number}: {name}: {error!r}") from error
    return "believed"


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Neither log nor output while files are read by the thousand."""
    structlog.configure(processors=[_no_log])
    with (
        open(os.devnull, "w", encoding="utf-8") as null,  # noqa: PTH123
        contextlib.redirect_stdout(null),
        contextlib.redirect_stderr(null),
    ):
        try:
            yield
        finally:
            structlog.reset_defaults()


def _no_log(*_: object) -> Any:  # noqa: ANN401 - what structlog wants
    raise structlog.DropEvent


CAMPAIGNS: Final[Mapping[str, Campaign]] = {"state files: mutated": mutate}
