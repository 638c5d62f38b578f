"""Where state is kept, and that only its owner can read it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from voiceguard import paths
from voiceguard.errors import StateError
from voiceguard.mqtt.config import MqttConfig, default_node_id


def test_a_setting_beats_the_environment() -> None:
    environ = {"VOICEGUARD_STATE_DIR": "/env", "STATE_DIRECTORY": "/var/lib/voiceguard"}
    assert paths.state_dir("/set", environ) == Path("/set")
    assert paths.state_dir("", environ) == Path("/env")


def test_systemd_may_name_several_directories_and_the_first_counts() -> None:
    environ = {"STATE_DIRECTORY": "/var/lib/voiceguard:/var/lib/other"}
    assert paths.state_dir(None, environ) == Path("/var/lib/voiceguard")


def test_without_any_hint_it_is_the_platforms_place() -> None:
    assert paths.state_dir(None, {}).name == "voiceguard"


def test_a_tilde_is_the_home_directory() -> None:
    assert paths.state_dir("~/vg", {}) == Path.home() / "vg"


def test_the_key_lies_outside_the_voiceprints(tmp_path: Path) -> None:
    key = paths.default_key_file(tmp_path)
    assert not key.is_relative_to(paths.voiceprints_dir(tmp_path))


def test_directories_are_made_for_their_owner_only_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        paths.make_private_dir(tmp_path / "state" / "voiceprints")
    finally:
        os.umask(before)
    for made in (tmp_path / "state", tmp_path / "state" / "voiceprints"):
        assert stat.S_IMODE(made.stat().st_mode) == 0o700


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(StateError, match="state"):
        paths.make_private_dir(tmp_path / "state" / "voiceprints")
    with pytest.raises(StateError, match="not a directory"):
        paths.make_private_dir(tmp_path / "state")


def test_a_directory_that_cannot_be_made_is_named_with_a_way_out() -> None:
    with pytest.raises(StateError, match="/proc/voiceguard") as caught:
        paths.make_private_dir(Path("/proc/voiceguard"))
    assert "state_dir" in caught.value.hint


def test_a_new_state_directory_tells_its_machine_from_others(tmp_path: Path) -> None:
    """A few characters, kept; so two machines of one name have two node ids."""
    suffixes = {paths.settle_node_suffix(tmp_path / name) for name in ("a", "b", "c")}
    assert len(suffixes) == 3
    assert (
        paths.settle_node_suffix(tmp_path / "a")
        == paths.read_node_suffix(tmp_path / "a")
        in suffixes
    )
    config = MqttConfig().with_node_suffix("3f2a")
    assert config.node_id == f"{default_node_id()}-3f2a"
    assert MqttConfig(node_id="den").with_node_suffix("3f2a").node_id == "den"
    chosen = MqttConfig(node_id="".join(default_node_id()))
    assert chosen.with_node_suffix("3f2a") == chosen


@pytest.mark.parametrize("kept", ["history.sqlite3", "voiceguard.key", "voiceprints/anna.vgp"])
def test_a_state_directory_that_was_heard_of_keeps_its_name(tmp_path: Path, kept: str) -> None:
    """Home Assistant knows it by the machine's name alone."""
    (tmp_path / kept).parent.mkdir(exist_ok=True)
    (tmp_path / kept).touch()
    assert paths.settle_node_suffix(tmp_path) == ""
    assert not (tmp_path / "node-suffix").exists()


@pytest.mark.parametrize("content", [b"", b"A/#", b"\xff\xff", b"x" * 5000])
def test_a_meddled_suffix_is_none(tmp_path: Path, content: bytes) -> None:
    """It would go into topics."""
    (tmp_path / "node-suffix").write_bytes(content)
    assert paths.settle_node_suffix(tmp_path) == ""
