"""A voiceprint and its audio change together: at every step that can fail, and every kill."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING

import pytest

from tests.voiceprints.failing_disk import fail, killed_at, stepping
from tests.voiceprints.people import make_audio, make_person
from voiceguard.errors import StateError, StoreKeyError, VoiceprintError
from voiceguard.voiceprints import VoiceprintStore
from voiceguard.voiceprints.durable import replace_durably

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from voiceguard.types import Voiceprint

OLD = make_person("anna", seed=1)
_LATER = OLD.created_at + timedelta(days=1)
NEW = replace(make_person("anna", seed=2), created_at=_LATER, updated_at=_LATER)
"""Another enrollment."""
CHANGED = replace(OLD, display_name="Another", updated_at=_LATER)
"""The same one, changed."""

WAYS: dict[str, tuple[Voiceprint, bool]] = {
    "anew with audio": (NEW, True),
    "anew without": (NEW, False),
    "changed with audio": (CHANGED, True),
    "changed without": (CHANGED, False),
}


REFUSALS = (StateError, StoreKeyError, VoiceprintError)


def filled(state: Path) -> VoiceprintStore:
    store = VoiceprintStore(state, environ={})
    store.save(OLD, audio=make_audio(OLD))
    return store


def saving(store: VoiceprintStore, way: str) -> Callable[[], None]:
    voiceprint, has_audio = WAYS[way]
    audio = make_audio(voiceprint) if has_audio else None
    return lambda: store.save(voiceprint, overwrite=True, audio=audio)


def content(store: VoiceprintStore) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in store.directory.iterdir()}


def leftovers(store: VoiceprintStore) -> list[str]:
    return [name for name in content(store) if name.startswith(".") and name != ".lock"]


@pytest.mark.parametrize("way", WAYS)
def test_where_saving_raises_nothing_has_changed(tmp_path: Path, way: str) -> None:
    """Staging, either rename, the audio's deletion, the directory's fsync: each fails once."""
    for at in count():
        store = filled(tmp_path / str(at))
        before = content(store)
        save = saving(store, way)
        with stepping(at, fail) as steps, contextlib.suppress(*REFUSALS):
            save()
            before = {}
        if before:
            assert content(store) == before
        else:
            assert store.load("anna").updated_at == _LATER
            store.load_audio(store.load("anna"))  # raises where the two don't belong together
        if steps.num_taken <= at:
            break
    assert at > 10


@pytest.mark.parametrize("way", WAYS)
def test_a_kill_at_any_step_leaves_the_old_pair_or_the_new_one(tmp_path: Path, way: str) -> None:
    """Old audio beside a new enrollment would be audio that the person no longer agrees to."""
    voiceprint, has_audio = WAYS[way]
    seen = set()
    for at in count():
        store = filled(tmp_path / str(at))
        was_killed = killed_at(at, saving(store, way))
        loaded = store.load("anna")
        audio = store.load_audio(loaded)  # raises where the two don't belong together
        is_new = loaded.updated_at == voiceprint.updated_at
        if is_new and voiceprint is NEW and not has_audio:
            assert audio is None
            assert not (store.directory / "anna.audio").exists()
        else:
            assert audio is not None
            assert len(audio.takes) == (len(voiceprint.templates) if is_new and has_audio else 2)
        seen.add(is_new)
        store.save(make_person("bob"))
        assert leftovers(store) == []
        if not was_killed:
            break
    assert seen == {False, True}


def test_the_next_reader_finishes_what_a_kill_left(tmp_path: Path) -> None:
    """Also the daemon, which only reads: the audio is gone before anybody writes again."""
    for at in count():
        store = filled(tmp_path / str(at))
        if not killed_at(at, saving(store, "anew without")):
            break
        (voiceprint,) = store.load_all().voiceprints
        is_new = voiceprint.updated_at == _LATER
        assert (store.directory / "anna.audio").exists() != is_new


def test_a_writer_that_hangs_is_waited_for_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = filled(tmp_path)
    monkeypatch.setattr("voiceguard.voiceprints.directory.LOCK_TIMEOUT_S", 0.1)
    descriptor = os.open(store.directory / ".lock", os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with pytest.raises(StateError, match="another process has been writing into"):
        store.save(NEW, overwrite=True)
    assert store.load("anna").updated_at == OLD.updated_at
    os.close(descriptor)
    store.save(NEW, overwrite=True)


def test_without_hard_links_a_full_disk_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request of a lock is such a write, and on a full disk everyone of them would leave one."""

    def no_links(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    def full(name: str) -> None:
        if name != "unlink":  # a disk that can't even do that leaves what there is
            fail(name)

    monkeypatch.setattr(os, "link", no_links)
    path = tmp_path / "unlock.json"
    replace_durably((path, b"old"))
    num_failed = 0
    for step in range(20):
        with stepping(step, full), contextlib.suppress(OSError):
            replace_durably((path, b"new"))
        num_failed += path.read_bytes() == b"old"
        assert list(tmp_path.iterdir()) == [path], step
        path.write_bytes(b"old")
    assert num_failed > 3
