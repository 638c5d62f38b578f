"""How the daemon ends: told to by a signal, or by itself when every file is over.

What kept the files from being decided or delivered is an error then: whoever feeds recordings in a
script learns by the exit code that a decision was lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import TYPE_CHECKING

from voiceguard.errors import BrokerError, VoiceprintError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from voiceguard.mqtt.client import MqttLink


@contextlib.contextmanager
def stopping_on_signals(stop: Callable[[], None]) -> Iterator[None]:
    """SIGTERM and SIGINT stop it. Event loop only.

    Outside the main thread signals can't be handled: whoever embeds the daemon stops it.
    """
    loop = asyncio.get_running_loop()
    handled = []
    with contextlib.suppress(ValueError, RuntimeError):
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop)
            handled.append(number)
    try:
        yield
    finally:
        for number in handled:
            loop.remove_signal_handler(number)


def check_recognised(store_fault: str) -> None:
    """Nobody could be recognised while the voiceprints were out of reach.

    Raises:
        VoiceprintError: There is such a fault.
    """
    if store_fault:
        raise VoiceprintError(
            f"nobody could be recognised: {store_fault}",
            hint="`voiceguard doctor` says how to mend it",
        )


def check_delivered(link: MqttLink | None, broker: str) -> None:
    """Every decision has reached the broker, where there is one.

    Raises:
        BrokerError: Some have not.
    """
    if link is None:
        return
    statistics = link.statistics()
    num_lost = (
        statistics.decisions_dropped
        + statistics.decisions_expired
        + statistics.decisions_refused
        + statistics.decisions_pending
    )
    if num_lost:
        raise BrokerError(
            f"{num_lost} decision(s) did not reach {broker} in time",
            hint="is the broker running, and are user and password right? `voiceguard doctor`",
        )


def first_error(group: BaseExceptionGroup[Exception]) -> Exception:
    """The first error of a task group: the others followed from it or can wait."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, Exception)
    return error
