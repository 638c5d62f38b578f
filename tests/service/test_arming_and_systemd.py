"""Words to systemd, and what is remembered across a restart."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from voiceguard.errors import StateError
from voiceguard.scoring.policy import PolicyConfig
from voiceguard.service.arming import ArmedSwitch, PolicyChoice
from voiceguard.service.reporting.systemd import notify_systemd, wants_watchdog
from voiceguard.settings import ServiceConfig

if TYPE_CHECKING:
    from pathlib import Path


def test_notify_sends_one_datagram(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What systemd reads from its socket is exactly what was said."""
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(address)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        assert notify_systemd("READY=1", "STATUS=listening")
        assert systemd.recv(100) == b"READY=1\nSTATUS=listening"


def test_a_full_socket_never_blocks_the_event_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A systemd that does not read (SIGSTOP, say) must not stop the microphone."""
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(address)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        assert not all(notify_systemd("WATCHDOG=1") for _ in range(10_000))


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, False),
        ({"WATCHDOG_USEC": "10000000"}, True),
        ({"WATCHDOG_USEC": "10000000", "WATCHDOG_PID": "1"}, False),
    ],
)
def test_the_watchdog_is_fed_only_where_systemd_waits_for_this_process(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], *, expected: bool
) -> None:
    for name in ("WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert wants_watchdog() is expected


def test_notify_without_systemd_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not notify_systemd("READY=1")


def test_a_systemd_that_does_not_answer_is_not_our_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stale variable, inherited from somewhere, must not stop the daemon."""
    monkeypatch.setenv("NOTIFY_SOCKET", "/nonexistent/notify")
    assert not notify_systemd("READY=1")


@pytest.mark.parametrize(
    ("left_as", "start", "expected"),
    [
        (True, "as_before", True),
        (False, "as_before", False),
        (False, "armed", True),
        (True, "disarmed", False),
    ],
)
def test_the_state_after_a_restart_is_a_setting(
    tmp_path: Path, *, left_as: bool, start: str, expected: bool
) -> None:
    switch = ArmedSwitch(tmp_path, "as_before")
    switch.is_armed = left_as
    switch.remember()
    config = ServiceConfig(start=start)  # type: ignore[arg-type]
    assert ArmedSwitch(tmp_path, config.start).is_armed is expected


def test_a_new_state_directory_starts_armed(tmp_path: Path) -> None:
    assert ArmedSwitch(tmp_path / "new", "as_before").is_armed


def test_what_cannot_be_remembered_is_said(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    switch = ArmedSwitch(file / "state", "as_before")
    switch.is_armed = False
    with pytest.raises(StateError, match="file"):
        switch.remember()


def test_intervals_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match=r"voiceprint_poll_s must be between .* not 0"):
        ServiceConfig(voiceprint_poll_s=0)


def test_a_rate_that_was_chosen_outlasts_a_restart(tmp_path: Path) -> None:
    """As long as the settings still have it among the choices."""
    config = PolicyConfig(p_fa=0.01, p_fa_choices=(0.001, 0.05))
    choice = PolicyChoice(tmp_path, config)
    assert choice.policy == config
    assert choice.choose(0.001 * (1 + 1e-9))
    choice.remember()
    assert PolicyChoice(tmp_path, config).policy.p_fa == 0.001
    assert PolicyChoice(tmp_path, PolicyConfig(p_fa_choices=(0.02,))).policy.p_fa == 0.01
    assert choice.describe()["choice"] == "0.1 %"
    assert choice.describe()["choices"] == ["0.1 %", "1 %", "5 %"]


@pytest.mark.parametrize("p_fa", [0.002, 0.0, -0.001, 1.0, float("nan"), float("inf")])
def test_nothing_but_a_configured_rate_is_chosen(tmp_path: Path, p_fa: float) -> None:
    """Whoever may write to the broker can't weaken the policy; nor can a damaged file."""
    config = PolicyConfig(p_fa=0.01, p_fa_choices=(0.001,))
    choice = PolicyChoice(tmp_path, config)
    assert not choice.choose(p_fa)
    assert not PolicyChoice(tmp_path, PolicyConfig()).choose(0.01)
    assert choice.policy == config
    (tmp_path / "p_fa").write_text(f"{p_fa}")
    assert PolicyChoice(tmp_path, config).policy == config


def test_choices_are_rates_as_any(tmp_path: Path) -> None:
    del tmp_path
    with pytest.raises(ValueError, match="each of p_fa_choices must be above 0"):
        PolicyConfig(p_fa_choices=(0.06,))
    with pytest.raises(ValueError, match="far_per_hour is stated"):
        PolicyConfig(p_fa=None, far_per_hour=1.0, p_fa_choices=(0.01,))
