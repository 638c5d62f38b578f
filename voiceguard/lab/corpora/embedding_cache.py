"""Embeddings are computed once: an encoder that remembers, in the platform's cache directory.

One SQLite file per encoder id. The key is the audio itself (a hash of a window's samples), so
that nothing stale can come back, whatever changed in the gate, the windows or the test material.
Embeddings are biometric data: the directory is the owner's alone; delete it at will.
"""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol, Self, runtime_checkable

import numpy as np
import platformdirs
import structlog

from voiceguard.errors import StateError
from voiceguard.paths import make_private_dir

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from voiceguard.protocols import Encoder, EncoderStream
    from voiceguard.types import Embedding, Samples, Window

log = structlog.get_logger(__name__)

_COMMIT_EVERY = 50
_MAX_WAIT_S = 0.5


def cache_dir() -> Path:
    """Where the files are."""
    return platformdirs.user_cache_path("voiceguard", appauthor=False) / "evaluation"


class RememberingEncoder:
    """An ``Encoder`` that embeds no audio twice. Not safe for several threads at once.

    Args:
        encoder: Does the work.
        directory: Where to remember; one that cannot be used costs time, not the run.
    """

    def __init__(self, encoder: Encoder, directory: Path) -> None:
        self.info = encoder.info
        self.num_computed = 0
        self._encoder = encoder
        self._memory = _open(directory, encoder.info.encoder_id)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Writes what is new."""
        with suppress(sqlite3.OperationalError):
            self._memory.commit()
        self._memory.close()

    def embed(self, samples: Samples) -> Embedding:
        return self._recall(samples, lambda: self._encoder.embed(samples))

    def embed_many(self, recordings: Sequence[Samples]) -> list[Embedding]:
        """Embeds each recording; those not known yet all at once, if the encoder can do that."""
        known = [self._look_up(_key(samples)) for samples in recordings]
        new = [samples for samples, each in zip(recordings, known, strict=True) if each is None]
        computed = iter(embed_all(self._encoder, new) if new else ())
        return [
            self._keep(_key(samples), next(computed)) if each is None else each
            for samples, each in zip(recordings, known, strict=True)
        ]

    def open_stream(self) -> EncoderStream:
        return _RememberingStream(self._recall, self._encoder.open_stream())

    def _recall(self, samples: Samples, compute: Callable[[], Embedding]) -> Embedding:
        key = _key(samples)
        known = self._look_up(key)
        return self._keep(key, compute()) if known is None else known

    def _look_up(self, key: bytes) -> Embedding | None:
        row = self._memory.execute("SELECT value FROM embeddings WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        known = np.frombuffer(row[0], dtype="<f4")
        # Damaged rows are computed again.
        return known.astype(np.float32) if known.shape == (self.info.embedding_dim,) else None

    def _keep(self, key: bytes, embedding: Embedding) -> Embedding:
        self.num_computed += 1
        # Another run may be writing at the moment, or the disk is full: then it is not remembered.
        with suppress(sqlite3.OperationalError):
            self._memory.execute(
                "INSERT OR REPLACE INTO embeddings VALUES (?, ?)",
                (key, embedding.astype("<f4").tobytes()),
            )
            if self.num_computed % _COMMIT_EVERY == 0:
                self._memory.commit()
        return embedding


class _RememberingStream:
    def __init__(
        self,
        recall: Callable[[Samples, Callable[[], Embedding]], Embedding],
        stream: EncoderStream,
    ) -> None:
        self._recall = recall
        self._stream = stream

    def embed(self, window: Window) -> Embedding:
        return self._recall(window.samples, lambda: self._stream.embed(window))


@runtime_checkable
class BatchEncoder(Protocol):
    """An encoder that is faster with many recordings at once."""

    def embed_many(self, recordings: Sequence[Samples]) -> list[Embedding]: ...


def embed_all(encoder: Encoder, recordings: Sequence[Samples]) -> list[Embedding]:
    """Embeds each recording, all at once where the encoder can do that."""
    if isinstance(encoder, BatchEncoder):
        return encoder.embed_many(recordings)
    return [encoder.embed(samples) for samples in recordings]


def _key(samples: Samples) -> bytes:
    audio = np.ascontiguousarray(samples, dtype=np.float32)
    return hashlib.blake2b(audio.tobytes(), digest_size=20).digest()


def _open(directory: Path, encoder_id: str) -> sqlite3.Connection:
    path = directory / f"{encoder_id}.sqlite3"
    try:
        make_private_dir(directory)
        try:
            return _connect(str(path))
        except sqlite3.DatabaseError:  # damaged: what it held can be computed again
            path.unlink()
            return _connect(str(path))
    except (StateError, OSError, sqlite3.Error) as error:
        log.warning("cache_unusable", path=str(path), error=str(error))
        return _connect(":memory:")


def _connect(path: str) -> sqlite3.Connection:
    memory = sqlite3.connect(path, timeout=_MAX_WAIT_S)
    try:
        memory.execute("PRAGMA journal_mode = WAL")  # readers and a writer don't wait for another
        memory.execute("PRAGMA synchronous = OFF")
        memory.execute(
            "CREATE TABLE IF NOT EXISTS embeddings (key BLOB PRIMARY KEY, value BLOB NOT NULL)"
        )
        memory.execute("SELECT count(*) FROM embeddings").fetchone()
    except sqlite3.Error:
        memory.close()
        raise
    return memory
