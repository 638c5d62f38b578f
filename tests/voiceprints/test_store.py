"""What is stored comes back, what was meddled with does not, and nothing stored is ever lost."""

from __future__ import annotations

import errno
import os
import random
import resource
import signal
import stat
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.voiceprints.people import ENCODER_ID, assert_same, make_voiceprint
from voiceguard.errors import (
    StateError,
    StoreKeyError,
    UsageError,
    VoiceguardError,
    VoiceprintError,
)
from voiceguard.voiceprints.format import seal, unseal
from voiceguard.voiceprints.key import create_key
from voiceguard.voiceprints.store import VoiceprintStore

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path) -> VoiceprintStore:
    return VoiceprintStore(tmp_path, environ={})


def file_of(store: VoiceprintStore, speaker: str) -> Path:
    return store.directory / f"{speaker}.voiceprint"


# --- the ordinary life of a voiceprint ------------------------------------------------------


def test_what_was_saved_is_loaded_by_another_process_to_the_bit(
    store: VoiceprintStore, tmp_path: Path
) -> None:
    anna, bob = make_voiceprint("anna"), make_voiceprint("bob", seed=2, num_templates=1)
    store.save(bob)
    store.save(anna)
    fresh = VoiceprintStore(tmp_path, environ={})
    assert fresh.names() == ("anna", "bob")
    assert_same(fresh.load("anna"), anna)
    loaded = fresh.load_all(encoder_id=ENCODER_ID)
    assert not loaded.refusals
    for voiceprint, original in zip(loaded.voiceprints, (anna, bob), strict=True):
        assert_same(voiceprint, original)


def test_an_empty_store_has_nobody_and_makes_nothing(tmp_path: Path) -> None:
    store = VoiceprintStore(tmp_path / "state", environ={})
    assert store.names() == ()
    assert store.load_all().voiceprints == ()
    assert store.generation() == ()
    assert not (tmp_path / "state").exists()


def test_files_are_private_and_tell_nothing_but_the_header(store: VoiceprintStore) -> None:
    anna = make_voiceprint("anna")
    store.save(anna)
    path = file_of(store, "anna")
    content = path.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(store.directory.stat().st_mode) == 0o700
    assert b"kitchen" not in content
    assert anna.templates[0].embedding.tobytes()[:16] not in content
    assert ENCODER_ID.encode() in content


def test_an_enrolled_speaker_is_not_overwritten_unless_asked(store: VoiceprintStore) -> None:
    first, second = make_voiceprint(seed=1), make_voiceprint(seed=2)
    store.save(first)
    with pytest.raises(VoiceprintError, match="already enrolled") as caught:
        store.save(second)
    assert "--force" in caught.value.hint
    assert_same(store.load("anna"), first)
    store.save(second, overwrite=True)
    assert_same(store.load("anna"), second)


def test_a_removed_speaker_is_gone_and_an_unknown_one_is_an_error(store: VoiceprintStore) -> None:
    store.save(make_voiceprint("anna"))
    store.remove("anna")
    assert store.names() == ()
    with pytest.raises(VoiceprintError, match="no voiceprint of 'anna'"):
        store.remove("anna")
    with pytest.raises(VoiceprintError, match="no voiceprint of 'anna'"):
        store.load("anna")


def test_names_that_would_leave_the_directory_are_refused(store: VoiceprintStore) -> None:
    for call in (store.load, store.remove):
        with pytest.raises(UsageError):
            call("../key")
    with pytest.raises(UsageError):
        store.save(make_voiceprint("../anna"))


def test_the_generation_changes_with_every_change_and_only_then(store: VoiceprintStore) -> None:
    seen = [store.generation()]
    store.save(make_voiceprint("anna"))
    seen.append(store.generation())
    store.save(make_voiceprint("anna"), overwrite=True)  # same content, same size
    seen.append(store.generation())
    store.save(make_voiceprint("bob"))
    seen.append(store.generation())
    store.remove("anna")
    seen.append(store.generation())
    assert len(set(seen)) == len(seen)
    store.load_all()
    assert store.generation() == seen[-1]


# --- what cannot be trusted -----------------------------------------------------------------


def test_untrustworthy_files_are_refused_by_name_and_the_rest_go_on(
    store: VoiceprintStore, tmp_path: Path
) -> None:
    names = ("anna", "bob", "carl", "dora", "emil", "fred", "gina")
    for seed, name in enumerate(names):
        store.save(make_voiceprint(name, seed=seed))
    foreign = create_key(tmp_path / "foreign")
    tampered = bytearray(file_of(store, "bob").read_bytes())
    tampered[-40] ^= 1
    file_of(store, "bob").write_bytes(tampered)
    os.truncate(file_of(store, "carl"), 600)
    file_of(store, "dora").write_bytes(file_of(store, "anna").read_bytes())
    store.save(make_voiceprint("emil", encoder_id="f" * 16), overwrite=True)
    file_of(store, "fred").write_bytes(seal(make_voiceprint("fred"), foreign))
    file_of(store, "gina").write_bytes(b"not a voiceprint")
    loaded = store.load_all(encoder_id=ENCODER_ID)
    assert [each.speaker for each in loaded.voiceprints] == ["anna"]
    reasons = {each.speaker: each.reason for each in loaded.refusals}
    assert set(reasons) == set(names) - {"anna"}
    for name, word in {
        "bob": "tampered",
        "carl": "damaged",
        "dora": "holds the voiceprint of 'anna'",
        "emil": "encoder ffffffffffffffff",
        "fred": "another key",
        "gina": "no voiceprint",
    }.items():
        assert word in reasons[name]
        assert repr(name) in reasons[name]
    assert all(each.hint for each in loaded.refusals)


def test_renaming_both_the_file_and_its_header_is_noticed(store: VoiceprintStore) -> None:
    store.save(make_voiceprint("anna"))
    content = file_of(store, "anna").read_bytes().replace(b'"anna"', b'"bert"')
    file_of(store, "bert").write_bytes(content)
    with pytest.raises(VoiceprintError, match="tampered"):
        store.load("bert")


@pytest.mark.parametrize(
    "header",
    [
        b"[" * 4000,
        b'{"format": 1e400}',
        b'{"format": ' + b"9" * 4000 + b"}",
        b'{"format": "1", "speaker": "anna", "encoder_id": "e", "key_id": "k"}',
        b'{"format": 1, "speaker": ["anna"], "encoder_id": "e", "key_id": "k"}',
        b'{"format": 1, "speaker": "anna", "key_id": "k"}',
        b'{"format": 1, "speaker": "\xff", "encoder_id": "e", "key_id": "k"}',
    ],
)
def test_a_header_of_anything_is_refused_by_name(store: VoiceprintStore, header: bytes) -> None:
    """One file may not keep the others from being read, whatever stands in it."""
    store.save(make_voiceprint("bob"))
    content = b"VGPRINT\n" + len(header).to_bytes(4, "big") + header + bytes(64)
    file_of(store, "anna").write_bytes(content)
    loaded = store.load_all(encoder_id=ENCODER_ID)
    assert [each.speaker for each in loaded.voiceprints] == ["bob"]
    assert [each.reason for each in loaded.refusals] == [
        "the voiceprint of 'anna' has a damaged header"
    ]


def test_another_encoder_in_the_header_is_noticed(store: VoiceprintStore) -> None:
    store.save(make_voiceprint("anna", encoder_id="f" * 16))
    path = file_of(store, "anna")
    path.write_bytes(path.read_bytes().replace(b"f" * 16, ENCODER_ID.encode()))
    with pytest.raises(VoiceprintError, match="tampered"):
        store.load("anna", encoder_id=ENCODER_ID)


def test_a_newer_format_is_refused_without_guessing(store: VoiceprintStore) -> None:
    store.save(make_voiceprint("anna"))
    path = file_of(store, "anna")
    path.write_bytes(path.read_bytes().replace(b'"format": 1', b'"format": 2'))
    with pytest.raises(VoiceprintError, match="format 2") as caught:
        store.load("anna")
    assert "upgrade" in caught.value.hint


def test_a_name_that_no_speaker_can_have_is_refused_too(store: VoiceprintStore) -> None:
    store.save(make_voiceprint("anna"))
    file_of(store, "Bad Name").write_bytes(b"x")
    loaded = store.load_all()
    assert len(loaded.voiceprints) == 1
    assert loaded.refusals[0].speaker == "Bad Name"


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_changed_byte_and_any_cut_is_refused(tmp_path: Path, data: st.DataObject) -> None:
    key = create_key(tmp_path / "key")
    content = bytearray(seal(make_voiceprint("anna", num_templates=1), key))
    position = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content[position] ^= data.draw(st.integers(1, 255))
    else:
        del content[position:]
    with pytest.raises(VoiceguardError):
        unseal(bytes(content), "anna", key)


def test_every_save_has_its_own_nonce(tmp_path: Path) -> None:
    key = create_key(tmp_path / "key")
    anna = make_voiceprint("anna")
    assert seal(anna, key)[-100:] != seal(anna, key)[-100:]


# --- the key --------------------------------------------------------------------------------


def test_the_key_is_created_only_while_nobody_is_enrolled(store: VoiceprintStore) -> None:
    store.save(make_voiceprint("anna"))
    kept = store.key_path.read_bytes()
    store.key_path.unlink()
    for call in (
        lambda: store.load("anna"),
        store.load_all,
        store.prepare,
        lambda: store.save(make_voiceprint("bob")),
    ):
        with pytest.raises(StoreKeyError, match=str(store.key_path)) as caught:
            call()
        assert "restore" in caught.value.hint
    assert not store.key_path.exists()
    store.key_path.write_bytes(kept)
    store.key_path.chmod(0o600)
    assert store.load("anna").speaker == "anna"


def test_without_the_key_a_voiceprint_can_still_be_removed(store: VoiceprintStore) -> None:
    store.save(make_voiceprint("anna"))
    store.key_path.unlink()
    store.remove("anna")
    store.save(make_voiceprint("bob"))
    assert store.key_path.exists()


def test_a_wrong_key_is_told_from_damage_and_nothing_is_saved_under_it(
    store: VoiceprintStore,
) -> None:
    store.save(make_voiceprint("anna"))
    store.key_path.write_text("cd" * 32)
    for call in (
        lambda: store.load("anna"),
        store.load_all,
        lambda: store.save(make_voiceprint("bob")),
    ):
        with pytest.raises(StoreKeyError, match=r"not the key|another key"):
            call()
    assert store.names() == ("anna",)


def test_a_setting_says_where_the_key_is(tmp_path: Path) -> None:
    store = VoiceprintStore(tmp_path / "state", key_file=tmp_path / "elsewhere", environ={})
    store.save(make_voiceprint("anna"))
    assert (tmp_path / "elsewhere").exists()
    assert not (tmp_path / "state" / "voiceguard.key").exists()


# --- crashes and full disks -----------------------------------------------------------------

SAVE_FOR_EVER = """
import sys
from pathlib import Path
from dataclasses import replace
from tests.voiceprints.people import make_voiceprint
from voiceguard.voiceprints.store import VoiceprintStore
store = VoiceprintStore(Path(sys.argv[1]), environ={})
first = int(sys.argv[2])
base = make_voiceprint("anna", num_templates=400)  # large: a kill often lands in mid-write
for version in range(first, first + 1_000_000):
    store.save(replace(base, display_name=str(version)), overwrite=True)
    print(version, flush=True)
"""


def test_killing_a_saving_process_at_any_moment_loses_nothing(
    store: VoiceprintStore, tmp_path: Path
) -> None:
    store.save(make_voiceprint("bystander"))
    rng = random.Random(5)
    version = 0
    for _ in range(6):
        command = [sys.executable, "-c", SAVE_FOR_EVER, str(tmp_path), str(version + 1)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as saver:
            assert saver.stdout is not None
            acknowledged = int(saver.stdout.readline())
            time.sleep(rng.uniform(0.0, 0.05))
            saver.send_signal(signal.SIGKILL)
            for line in saver.stdout.read().splitlines(keepends=True):
                if line.endswith("\n"):
                    acknowledged = int(line)
        loaded = store.load_all()
        assert not loaded.refusals
        assert [each.speaker for each in loaded.voiceprints] == ["anna", "bystander"]
        version = int(store.load("anna").display_name)
        assert version >= acknowledged


def test_what_a_killed_writer_left_is_no_voiceprint_and_is_cleared_by_the_next(
    store: VoiceprintStore,
) -> None:
    store.save(make_voiceprint("anna"))
    leftover = store.directory / ".bob.voiceprint.0a1b2c3d.tmp"
    leftover.write_bytes(b"half")
    assert store.names() == ("anna",)
    store.save(make_voiceprint("carl"))
    assert not leftover.exists()


FILL_DISK = """
import resource, sys
from pathlib import Path
from tests.voiceprints.people import make_voiceprint
from voiceguard.errors import StateError
from voiceguard.voiceprints.store import VoiceprintStore
store = VoiceprintStore(Path(sys.argv[1]), environ={})
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
try:
    store.save(make_voiceprint("anna", num_templates=400), overwrite=True)
except StateError as error:
    print(error.hint)
"""


def test_a_write_that_fails_half_way_leaves_the_old_voiceprint(
    store: VoiceprintStore, tmp_path: Path
) -> None:
    """The kernel cuts the write at 20 kB, as a full disk would."""
    anna = make_voiceprint("anna")
    store.save(anna)
    before = store.generation()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    result = subprocess.run(
        [sys.executable, "-c", FILL_DISK, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert resource.getrlimit(resource.RLIMIT_FSIZE) == (soft, hard)
    assert "free some space" in result.stdout, result.stderr
    assert store.generation() == before
    assert_same(store.load("anna"), anna)
    assert not list(store.directory.glob(".*.tmp"))


@pytest.mark.skipif(os.getuid() != 0, reason="mounting a tiny file system needs root")
def test_a_full_disk_is_a_clear_error_and_loses_nothing(tmp_path: Path) -> None:
    state = tmp_path / "tiny"
    state.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k,mode=700", "tmpfs", str(state)], check=False
    )
    if mounted.returncode != 0:
        pytest.skip("this container does not allow mounting")
    try:
        store = VoiceprintStore(state, environ={})
        anna = make_voiceprint("anna")
        store.save(anna)
        with pytest.raises(StateError, match=os.strerror(errno.ENOSPC)) as caught:
            store.save(make_voiceprint("anna", num_templates=400), overwrite=True)
        assert "unharmed" in caught.value.hint
        assert_same(store.load("anna"), anna)
        store.remove("anna")  # forgetting somebody needs no space
    finally:
        subprocess.run(["umount", str(state)], check=True)
