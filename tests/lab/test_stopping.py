"""What runs long hears of a signal, and of no more once it is over."""

from __future__ import annotations

import os
import signal

import pytest

from voiceguard.lab.stopping import stopped_by_signal


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_noted_and_ends_nothing(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with stopped_by_signal() as is_stopped:
        assert not is_stopped()
        os.kill(os.getpid(), number)
        assert is_stopped()
    assert signal.getsignal(number) is before
