"""Downloads from a hub on the loopback interface: what arrives, and what is said where it can't."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.encoder import hub as fake
from voiceguard.encoder.foreign.catalogue import HubFile, KnownEncoder, of_hub_id
from voiceguard.encoder.foreign.pulling import Pulled, pull
from voiceguard.errors import EncoderError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytest.importorskip("huggingface_hub", reason="the extra hub is not installed")

WEIGHTS = bytes(range(256)) * 4096 * 12  # 12 MiB: it arrives in pieces of 10
CONFIG = b"lin_neurons: 192\n"
KNOWN = KnownEncoder(
    name="some-encoder",
    family="SpeechBrain",
    hub="someone/some-encoder",
    revision=fake.COMMIT,
    files=(
        HubFile(name="embedding_model.ckpt", sha256=hashlib.sha256(WEIGHTS).hexdigest()),
        HubFile(name="hyperparams.yaml"),
    ),
    licence="Apache-2.0",
    commercial_use=True,
)
SINGLE = replace(KNOWN, files=KNOWN.files[:1])


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[fake.Hub]:
    files = {"embedding_model.ckpt": WEIGHTS, "hyperparams.yaml": CONFIG}
    with fake.running({"someone/some-encoder": files}) as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        yield running


def test_what_is_pulled_is_recorded_with_commit_and_hashes(hub: fake.Hub, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int | None]] = []
    pulled = pull(KNOWN, tmp_path / "d", on_progress=lambda *each: seen.append(each))
    assert isinstance(pulled, Pulled)
    assert (pulled.path, pulled.commit) == (tmp_path / "d", fake.COMMIT)
    assert (pulled.path / "embedding_model.ckpt").read_bytes() == WEIGHTS
    assert (pulled.path / "hyperparams.yaml").read_bytes() == CONFIG
    assert pulled.sha256["hyperparams.yaml"] == hashlib.sha256(CONFIG).hexdigest()
    assert ("embedding_model.ckpt", len(WEIGHTS), len(WEIGHTS)) in seen
    assert pulled.source(KNOWN).startswith(f"someone/some-encoder@{fake.COMMIT} (embedding_model")
    assert not list(tmp_path.rglob("*.partial"))
    assert ("GET", "hyperparams.yaml", "") in hub.requests


@pytest.mark.usefixtures("hub")
def test_a_single_file_is_what_the_importer_reads(tmp_path: Path) -> None:
    assert pull(SINGLE, tmp_path).path == tmp_path / "embedding_model.ckpt"


def test_an_interrupted_download_goes_on_where_it_stopped(hub: fake.Hub, tmp_path: Path) -> None:
    hub.cut_after = 11 << 20
    with pytest.raises(EncoderError, match="answered 503 for embedding_model") as raised:
        pull(SINGLE, tmp_path)
    assert "goes on where it stopped" in raised.value.hint
    (partial,) = tmp_path.glob("*.partial")
    arrived = partial.stat().st_size
    assert 0 < arrived <= 11 << 20
    assert not (tmp_path / "embedding_model.ckpt").exists()

    hub.fails_with = None
    hub.requests.clear()
    pulled = pull(SINGLE, tmp_path)
    assert ("GET", "embedding_model.ckpt", f"bytes={arrived}-") in hub.requests
    assert pulled.path.read_bytes() == WEIGHTS


def test_without_a_pinned_revision_the_newest_is_recorded(hub: fake.Hub, tmp_path: Path) -> None:
    hub.commit = "f" * 40
    pulled = pull(replace(KNOWN, revision=None), tmp_path)
    assert pulled.commit == "f" * 40
    assert len(pulled.sha256) == 2


def test_a_revision_that_is_gone_is_named(hub: fake.Hub, tmp_path: Path) -> None:
    hub.commit = "f" * 40
    with pytest.raises(EncoderError, match=f"has no revision {fake.COMMIT} at http://127"):
        pull(KNOWN, tmp_path)


@pytest.mark.usefixtures("hub")
def test_a_hub_that_gives_another_commit_is_not_believed(
    hub: fake.Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fake._Handler, "hub", hub, raising=False)
    send = fake._Handler._send

    def lie(self: fake._Handler, content: bytes, *, with_body: bool) -> None:
        hub.commit = "e" * 40
        send(self, content, with_body=with_body)

    monkeypatch.setattr(fake._Handler, "_send", lie)
    with pytest.raises(EncoderError, match=f"gave commit e+ of .* where {fake.COMMIT} was asked"):
        pull(KNOWN, tmp_path)


@pytest.mark.usefixtures("hub")
def test_a_full_disk_is_not_blamed_on_the_network(tmp_path: Path) -> None:
    """By a process that may write no larger files: this one's limits stay as they are."""
    code = (
        "import resource, signal, sys; from pathlib import Path; "
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20)); "
        "from tests.encoder.foreign.test_pulling import SINGLE, pull; "
        "pull(SINGLE, Path(sys.argv[1]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert "StateError: cannot write embedding_model.ckpt: File too large" in done.stderr


def test_a_file_that_was_changed_is_deleted(hub: fake.Hub, tmp_path: Path) -> None:
    """Its size and its etag fit: only the catalogue knows."""
    hub.repositories["someone/some-encoder"]["embedding_model.ckpt"] = WEIGHTS[::-1]
    with pytest.raises(EncoderError, match=r"its sha256 is .* expected .* it was deleted"):
        pull(SINGLE, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_file_that_was_changed_on_the_disk_is_not_taken_for_the_download(
    hub: fake.Hub, tmp_path: Path
) -> None:
    pull(SINGLE, tmp_path)
    (tmp_path / "embedding_model.ckpt").write_bytes(b"something else")
    with pytest.raises(EncoderError, match="it was deleted"):
        pull(SINGLE, tmp_path)
    assert pull(SINGLE, tmp_path).path.read_bytes() == WEIGHTS
    assert len([each for each in hub.requests if each[0] == "GET"]) == 2


@pytest.mark.usefixtures("hub")
def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="no repository someone/else at http"):
        pull(replace(KNOWN, hub="someone/else"), tmp_path)
    missing = of_hub_id("someone/some-encoder", files=("model.onnx",))
    with pytest.raises(EncoderError, match=r"has no file model\.onnx in revision main"):
        pull(missing, tmp_path)


def test_one_that_is_not_on_the_hub_says_where_it_is(tmp_path: Path) -> None:
    elsewhere = KnownEncoder(name="other", family="?", elsewhere="the moon, other.bin")
    with pytest.raises(UsageError, match="published at the moon") as raised:
        pull(elsewhere, tmp_path)
    assert "models import FILE --name other" in raised.value.hint


def test_nobody_listening_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(EncoderError, match=r"did not arrive from http://127") as raised:
        pull(SINGLE, tmp_path)
    assert "Is there a network?" in raised.value.hint


def test_offline_mode_is_told_as_such(tmp_path: Path) -> None:
    """A process of its own: huggingface_hub reads the variable when it is imported."""
    code = (
        "import sys; from pathlib import Path\n"
        "from voiceguard.encoder.foreign.pulling import pull\n"
        "from voiceguard.encoder.foreign.catalogue import find_known\n"
        "try: pull(find_known('speechbrain-ecapa-voxceleb'), Path(sys.argv[1]))\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    told = subprocess.run(
        [sys.executable, "-c", code, tmp_path],
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.startswith("EncoderError embedding_model.ckpt can't be fetched"), told
