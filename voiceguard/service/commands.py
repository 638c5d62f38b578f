"""What the daemon is told to do, by MQTT and by the control socket: obeyed, and remembered.

Event loop; what was chosen is written down on the I/O executor, for a restart.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from voiceguard.audio import stdin
from voiceguard.control.server import ControlCommand, NoParameters, StreamParameters
from voiceguard.errors import UsageError, VoiceguardError
from voiceguard.mqtt.topics import Command
from voiceguard.service.arming import ArmedSwitch, PolicyChoice
from voiceguard.service.people import marking

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor
    from pathlib import Path

    from voiceguard.control.connection import Connection
    from voiceguard.control.server import ControlServer
    from voiceguard.scoring.policy import PolicyConfig
    from voiceguard.settings import Settings
    from voiceguard.wyoming.rooms import Rooms

log = structlog.get_logger(__name__)

_T = TypeVar("_T")
REMEMBER_TIMEOUT_S = 2.0
"""What remembering a choice may take; a state directory that hangs must not hold the rest."""


@dataclass(frozen=True, slots=True)
class MarkParameters:
    """Of ``mark``."""

    decision_id: str
    verdict: str
    """``right``, ``wrong``, or who it was."""


@dataclass(frozen=True, slots=True)
class SpeakerParameters:
    """Of a command about one speaker."""

    speaker: str


class Commands:
    """Takes commands, and says what is wanted since.

    Args:
        state: The state directory.
        settings: Everything.
        executor: For writing down.
        on_policy: Called with the policy that was chosen.
        on_stop: Called where the daemon is to end, for a restart.
        on_change: Called after every command.
        can_restart: Whether somebody starts the daemon anew when ``wants_restart``.
    """

    def __init__(
        self,
        state: Path,
        settings: Settings,
        executor: Executor,
        *,
        on_policy: Callable[[PolicyConfig], None],
        on_stop: Callable[[], None],
        on_change: Callable[[], None],
        can_restart: bool,
    ) -> None:
        self.armed = ArmedSwitch(state, settings.service.start)
        self.choice = PolicyChoice(state, settings.policy)
        self.reload = asyncio.Event()
        """The voiceprints are to be looked at now."""
        self.can_restart = can_restart
        self.wants_restart = False
        self._settings = settings
        self._executor = executor
        self._on_policy = on_policy
        self._on_stop = on_stop
        self._on_change = on_change
        self._has_chosen = False

    def take(self, command: Command) -> None:
        """A command from MQTT, where the log alone hears that it is refused."""
        try:
            self.obey(command)
        except UsageError as error:
            log.warning("command_ignored", command=command, cause=str(error), hint=error.hint)

    def obey(self, command: Command) -> None:
        """A command.

        Raises:
            UsageError: It can't be obeyed here.
        """
        log.info("command_received", command=command)
        if command is Command.RELOAD:
            self.reload.set()
        elif command is Command.RESTART:
            self._restart()
        elif command is not Command.P_FA:  # which comes with a rate, to choose_p_fa
            self.armed.is_armed = command is Command.ARM
        self._on_change()

    def _restart(self) -> None:
        if not self.can_restart:
            raise UsageError(
                "nobody would start this daemon again", hint="start it by `voiceguard run`"
            )
        if (kind := stdin.OF_PROCESS.kind) is not None:
            raise UsageError(
                f"standard input holds a container ({kind}), which can't be taken up in the middle",
                hint="end the daemon, and start the program before the pipe and voiceguard anew; "
                "raw PCM can be taken up",
            )
        self.wants_restart = True
        self._on_stop()

    def choose_p_fa(self, p_fa: float) -> None:
        """One of the configured rates, from MQTT."""
        if not self.choice.choose(p_fa):
            log.warning("command_ignored", cause="not in policy.p_fa_choices", p_fa=p_fa)
            return
        log.info("policy_chosen", p_fa=p_fa)
        self._has_chosen = True
        self._on_policy(self.choice.policy)
        self._on_change()

    async def remember_switch(self) -> None:
        """Writes down whether it listens."""
        await self._remember(self.armed.remember)

    async def remember_choice(self) -> None:
        """Writes down which rate was chosen, if one was since the last time."""
        if self._has_chosen:
            self._has_chosen = False
            await self._remember(self.choice.remember)

    async def _remember(self, write: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(REMEMBER_TIMEOUT_S):
                await loop.run_in_executor(self._executor, write)
        except TimeoutError:
            log.warning("switch_not_remembered", error="the state directory does not answer")
        except VoiceguardError as error:
            log.warning("switch_not_remembered", error=str(error))

    async def _marking(self, change: Callable[..., _T], *values: object) -> _T:
        """Changes marks, which count from the next look at the voiceprints on: now."""
        loop = asyncio.get_running_loop()
        told = await loop.run_in_executor(self._executor, change, self._settings, *values)
        self.reload.set()
        return told

    def serve(
        self, control: ControlServer, *, status: Callable[[], dict[str, Any]], rooms: Rooms | None
    ) -> None:
        """Adds what clients of the control socket may ask for, besides ``watch``.

        Args:
            control: The socket.
            status: Gives what the status topic says.
            rooms: Of the [wyoming] table.
        """

        async def tell(_asked: NoParameters, _client: Connection) -> dict[str, Any]:
            return status()

        async def obey(
            command: Command, _asked: NoParameters, _client: Connection
        ) -> dict[str, Any]:
            self.obey(command)
            return {}

        async def turns(asked: StreamParameters, client: Connection) -> dict[str, Any]:
            if rooms is None:
                raise UsageError(
                    "there is no [[wyoming.proxy]] and no [[wyoming.satellite]]",
                    hint="see the settings",
                )
            if (what := f"turns {asked.stream}") not in client.on_end:
                tell = partial(client.send_event, "turn")
                client.on_end[what] = rooms.record(asked.stream, tell)
            return {}

        async def mark(asked: MarkParameters, _client: Connection) -> dict[str, Any]:
            now = datetime.now(UTC)
            return await self._marking(marking.mark, asked.decision_id, asked.verdict, now)

        async def unmark(asked: SpeakerParameters, _client: Connection) -> dict[str, Any]:
            return {"num_marks": await self._marking(marking.undo, asked.speaker)}

        control.add("mark", ControlCommand(MarkParameters, mark))
        control.add("unmark", ControlCommand(SpeakerParameters, unmark))
        control.add("status", ControlCommand(NoParameters, tell))
        control.add("turns", ControlCommand(StreamParameters, turns))
        for command in set(Command) - {Command.P_FA}:
            control.add(command, ControlCommand(NoParameters, partial(obey, command)))
