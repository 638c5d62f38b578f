"""Marks on disk: all of a decision or none, whatever happens; sealed, and gone with the person."""

from __future__ import annotations

import os
from itertools import count
from typing import TYPE_CHECKING

import pytest

from tests.scoring.marked import make_mark
from tests.voiceprints.failing_disk import fail, killed_at, stepping
from tests.voiceprints.people import make_person
from voiceguard.errors import StateError, StoreKeyError, VoiceprintError
from voiceguard.marks.store import MarkStore
from voiceguard.voiceprints import VoiceprintStore

if TYPE_CHECKING:
    from pathlib import Path

ANNA, BEN = make_mark(decision_id="2"), make_mark(4.0, is_theirs=False, decision_id="2")


@pytest.fixture
def store(tmp_path: Path) -> VoiceprintStore:
    """Anna with one mark, and Ben with none."""
    store = VoiceprintStore(tmp_path, environ={})
    for name in ("anna", "ben"):
        store.save(make_person(name))
    MarkStore(store).put("1", {"anna": make_mark()})
    return store


def test_what_is_put_is_there_for_another_process(store: VoiceprintStore, tmp_path: Path) -> None:
    MarkStore(store).put("2", {"anna": ANNA, "ben": BEN})
    found = MarkStore(VoiceprintStore(tmp_path, environ={})).load_all(["anna", "ben", "cleo"])
    assert found == ({"anna": (make_mark(), ANNA), "ben": (BEN,)}, {})


def test_a_decision_is_marked_once_and_the_last_word_counts(store: VoiceprintStore) -> None:
    marks = MarkStore(store)
    marks.put("2", {"anna": ANNA, "ben": BEN})
    other = make_mark(-1.0, decision_id="2")
    marks.put("2", {"ben": other})
    assert marks.load_all(["anna", "ben"]).marks == {"anna": (make_mark(),), "ben": (other,)}


def test_undo_forgets_them_all_and_nobody_elses(store: VoiceprintStore) -> None:
    marks = MarkStore(store)
    marks.put("2", {"anna": ANNA, "ben": BEN})
    assert marks.undo("anna") == 2
    assert marks.undo("anna") == 0
    assert marks.load_all(["anna", "ben"]).marks == {"ben": (BEN,)}


def test_the_oldest_go_where_there_are_too_many(store: VoiceprintStore) -> None:
    marks = MarkStore(store, max_marks=2)
    for name in "abcd":
        marks.put(name, {"ben": make_mark(decision_id=name)})
    assert [mark.decision_id for mark in marks.load("ben")] == ["c", "d"]


def test_they_are_private_sealed_seen_by_whoever_polls_and_removed_with_the_person(
    store: VoiceprintStore,
) -> None:
    path = store.marks_path("anna")
    assert path.stat().st_mode & 0o777 == 0o600
    assert b"decision_id" not in path.read_bytes()
    before = store.generation()
    MarkStore(store).put("2", {"anna": ANNA})
    assert store.generation() != before
    store.remove("anna")
    assert not path.exists()
    assert not store.holds("anna")


@pytest.mark.parametrize("damage", ["cut", "changed", "of another", "a directory"])
def test_a_file_that_cannot_be_believed_is_refused_by_name_and_can_be_undone(
    store: VoiceprintStore, damage: str
) -> None:
    marks, path = MarkStore(store), store.marks_path("ben")
    marks.put("2", {"ben": BEN})
    content = path.read_bytes()
    path.unlink()
    if damage == "a directory":
        path.mkdir()
    else:
        other = store.marks_path("anna").read_bytes()
        broken = {"cut": content[:-9], "changed": content[:-1] + b"x", "of another": other}
        path.write_bytes(broken[damage])
    found = marks.load_all(["anna", "ben"])
    assert list(found.marks) == ["anna"]
    assert "ben" in found.refused["ben"]
    with pytest.raises(VoiceprintError, match="ben") as caught:
        marks.put("3", {"ben": BEN})
    marks.put("3", {"anna": ANNA})  # is none of Ben's business
    if damage == "a directory":
        return
    assert damage == "of another" or "adapt NAME --undo" in caught.value.hint
    assert marks.undo("ben") == 1
    assert marks.load("ben") == ()


def test_at_every_step_that_fails_nothing_has_changed_and_the_next_one_succeeds(
    store: VoiceprintStore,
) -> None:
    marks = MarkStore(store)
    before = marks.load_all(["anna", "ben"])
    for at in count():
        with stepping(at, fail) as steps:
            try:
                marks.put("2", {"anna": ANNA, "ben": BEN})
            except (StateError, StoreKeyError, VoiceprintError):
                assert marks.load_all(["anna", "ben"]) == before
                continue
        assert marks.load_all(["anna", "ben"]).marks["ben"] == (BEN,)
        if at >= steps.num_taken:
            break
        marks.put("2", {})


def test_killed_at_every_step_a_decision_is_marked_for_all_or_for_nobody(
    store: VoiceprintStore,
) -> None:
    marks = MarkStore(store)
    for at in count(step=2):
        was_killed = killed_at(at, lambda: marks.put("2", {"anna": ANNA, "ben": BEN}))
        found = marks.load_all(["anna", "ben"])
        assert not found.refused
        is_there = [ANNA in found.marks.get("anna", ()), BEN in found.marks.get("ben", ())]
        assert is_there in ([False, False], [True, True])
        marks.put("2", {})
        assert marks.load_all(["anna", "ben"]).marks == {"anna": (make_mark(),)}
        names = os.listdir(store.directory)  # noqa: PTH208
        assert not [name for name in names if name.endswith((".tmp", ".plan"))]
        if not was_killed:
            break
