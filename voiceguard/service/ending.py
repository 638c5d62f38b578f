"""How the daemon ends: told to by a signal, or by itself when every file is over.

What kept the files from being decided or delivered is an error then: whoever feeds recordings in a
script learns by the exit code that a decision was lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import TYPE_CHECKING, Any

from voiceguard.errors import BrokerError, VoiceguardError, VoiceprintError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from voiceguard.mqtt.client import MqttLink


PULSE_S = 0.5


class Attention:
    """What wakes the daemon's main loop, to look after everything; and whether it is to end.

    Event loop only.
    """

    def __init__(self) -> None:
        self.is_stopping = False
        self._event = asyncio.Event()

    def set(self) -> None:
        """Something has changed."""
        self._event.set()

    def stop(self) -> None:
        """The daemon is to end."""
        self.is_stopping = True
        self.set()

    async def wait(self) -> None:
        """Returns when something has changed since the last time."""
        await self._event.wait()
        self._event.clear()

    async def pulse(self) -> None:
        """Wakes it every so often, though nothing has happened: health and watchdog."""
        while True:
            await asyncio.sleep(PULSE_S)
            self.set()

    async def unless_stopped(self, work: asyncio.Future[Any]) -> bool:
        """Waits for work of the start; whether it is done, else it was told to stop meanwhile.

        A thread can't be cancelled; what it loads is dropped when the process ends.
        """
        while not (work.done() or self.is_stopping):
            stopping = asyncio.ensure_future(self.wait())
            await asyncio.wait({work, stopping}, return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
        if not work.done():
            work.cancel()
            return False
        return True


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


def check_result(
    failures: Sequence[VoiceguardError], *, store_fault: str, link: MqttLink | None, broker: str
) -> None:
    """The files are over: what kept them from being decided or delivered is an error.

    Raises:
        VoiceguardError: The first of them.
    """
    for failure in failures:
        raise failure
    _check_recognised(store_fault)
    _check_delivered(link, broker)


def _check_recognised(store_fault: str) -> None:
    """Nobody could be recognised while the voiceprints were out of reach.

    Raises:
        VoiceprintError: There is such a fault.
    """
    if store_fault:
        raise VoiceprintError(
            f"nobody could be recognised: {store_fault}",
            hint="`voiceguard doctor` says how to mend it",
        )


def _check_delivered(link: MqttLink | None, broker: str) -> None:
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
