"""``voiceguard unlock request`` and ``listen``: a lock, as a program of its own."""

from __future__ import annotations

import asyncio
import math
import os
import shlex
import shutil
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import structlog
import typer

from voiceguard.cli.options import ConfigOption, JsonOption, StateDirOption
from voiceguard.cli.output import print_json, stderr, stdout
from voiceguard.cli.settings import configured
from voiceguard.cli.unlock.lines import Lines
from voiceguard.errors import BrokerError, ExitCode, UsageError
from voiceguard.paths import state_dir as find_state_dir
from voiceguard.people.config import NAME
from voiceguard.unlock.consumer import Answer, LockConnection, lock_connection
from voiceguard.unlock.keys import load_signing_key, public_text, signing_key_file
from voiceguard.unlock.verifier import Verifier

if TYPE_CHECKING:
    from voiceguard.settings import Settings

log = structlog.get_logger(__name__)

MAX_DIGITS = 10
_STANDARD_INPUT = 0
_AGAIN_S = 2.0
"""Between attempts to reach a broker."""

ActionOption = Annotated[
    str, typer.Option("--action", help="What the lock does: a table of [unlock.actions].")
]
PublicKeyOption = Annotated[
    str | None,
    typer.Option(
        help="The daemon's, 64 hexadecimal digits; default: this machine's.", show_default=False
    ),
]
BrokerOption = Annotated[
    str | None,
    typer.Option(help="mqtt://[user@]host[:port] or mqtts://...", show_default=False),
]
NodeOption = Annotated[
    str | None, typer.Option(help="The daemon's mqtt.node_id.", show_default=False)
]


def request(
    action: ActionOption,
    public_key: PublicKeyOption = None,
    node: NodeOption = None,
    broker: BrokerOption = None,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    json_lines: JsonOption = False,
) -> int:
    """Ask the daemon once, as a lock does, and wait for somebody to speak.

    Exits with 0 where the action may happen, with 3 where it may not, with 4 where nobody spoke.
    """
    settings = _settings(config, state_dir, action, node, broker)
    verifier = _verifier(settings, action, public_key)

    async def ask() -> Answer:
        async with lock_connection(settings.mqtt, action) as lock:
            return await lock.ask(verifier, _tell)

    answer = asyncio.run(ask())
    if json_lines:
        envelope = None if answer.envelope is None else asdict(answer.envelope)
        print_json({"opens": envelope is not None, "envelope": envelope, "notice": answer.notice})
    elif answer.envelope is not None:
        stdout.print(f"[bold green]opens[/]: {action}, for {answer.envelope.speaker}")
    return _exit_code(answer)


def listen(
    action: ActionOption,
    program: Annotated[
        str,
        typer.Option(
            "--exec",
            metavar="PROGRAM",
            help="Run when it may open, no shell; VOICEGUARD_UNLOCK_SPEAKER and others are set.",
        ),
    ],
    trigger: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TOPIC[=PAYLOAD]",
            help="A message here (a button, say) asks; default: every line of standard input.",
            show_default=False,
        ),
    ] = None,
    public_key: PublicKeyOption = None,
    node: NodeOption = None,
    broker: BrokerOption = None,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
) -> int:
    """Be a lock: at every trigger ask the daemon, and run a program when it may open.

    Runs until stopped; with standard input as its trigger, until that ends.
    """
    settings = _settings(config, state_dir, action, node, broker)
    lock = _Lock(settings, action, _verifier(settings, action, public_key), program, trigger or [])
    asyncio.run(lock.run())
    return ExitCode.OK


class _Lock:
    """Asks at triggers, one request at a time, and runs the program."""

    def __init__(
        self,
        settings: Settings,
        action: str,
        verifier: Verifier,
        program: str,
        triggers: list[str],
    ) -> None:
        self._settings = settings
        self._action = action
        self._verifier = verifier
        self._command = shlex.split(program)
        if not self._command:
            raise UsageError("--exec names no program", hint="leave it out, or name one")
        if shutil.which(self._command[0]) is None:
            raise UsageError(
                f"--exec: there is no program {self._command[0]!r}, or it may not be run",
                hint="nothing would open; name it by its whole path, and check its permissions",
            )
        parts = [each.partition("=") for each in triggers]
        self._triggers = {
            topic: payload.encode() if mark else None for topic, mark, payload in parts
        }
        self._lines = Lines(_STANDARD_INPUT)
        self._is_over = False

    async def run(self) -> None:
        """Until standard input ends, or it is stopped; a broker that goes is waited for."""
        while not self._is_over:
            try:
                async with lock_connection(
                    self._settings.mqtt, self._action, tuple(self._triggers)
                ) as lock:
                    log.info("lock_connected", action=self._action)
                    await self._serve(lock)
            except BrokerError as error:
                log.warning("lock_disconnected", error=str(error), hint=error.hint)
                await asyncio.sleep(_AGAIN_S)

    async def _serve(self, lock: LockConnection) -> None:
        while await self._is_triggered(lock):
            answer = await lock.ask(self._verifier, _tell)
            if answer.envelope is not None:
                await self._open(asdict(answer.envelope))
        self._is_over = True

    async def _is_triggered(self, lock: LockConnection) -> bool:
        """Waits for the next trigger; False where none will come."""
        if not self._triggers:
            return await self._lines.next()
        while True:
            topic, payload = await lock.wait_for_trigger()
            if self._triggers[topic] in {None, payload}:
                return True

    async def _open(self, envelope: dict[str, Any]) -> None:
        told = {
            f"VOICEGUARD_UNLOCK_{name.upper()}": str(envelope[name])
            for name in ("action", "speaker", "stream", "policy", "llr", "sequence")
        }
        log.info("lock_opened", action=self._action, speaker=envelope["speaker"])
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command, stdin=asyncio.subprocess.DEVNULL, env={**os.environ, **told}
            )
        except OSError as error:
            log.error("lock_program_failed", program=self._command[0], error=error.strerror)  # noqa: TRY400
            return
        if code := await process.wait():
            log.error("lock_program_failed", program=self._command[0], exit_code=code)


def _settings(
    config: Any,  # noqa: ANN401 - as ConfigOption has it
    state_dir: Any,  # noqa: ANN401
    action: str,
    node: str | None,
    broker: str | None,
) -> Settings:
    if not NAME.fullmatch(action):
        raise UsageError(
            f"an action's name has 1 to 32 of a-z 0-9 _ -, not {action!r}",
            hint="--action takes a name of [unlock.actions]",
        )
    mqtt = {"broker": broker, "node_id": node}
    return configured(config, state_dir=state_dir, mqtt=mqtt)


def _verifier(settings: Settings, action: str, public_key: str | None) -> Verifier:
    if public_key is None:
        path = signing_key_file(find_state_dir(settings.state_dir))
        public_key = public_text(load_signing_key(path))
    return Verifier(public_key, action, node=settings.mqtt.node_id)


def _tell(notice: dict[str, Any]) -> None:
    """For people, on standard error; what is said here opens nothing."""
    stderr.print(in_words(notice), markup=False, soft_wrap=True)


def in_words(notice: dict[str, Any]) -> str:
    """A notice as a sentence."""
    seconds, reason = notice["seconds"], str(notice.get("reason", ""))[:40]
    seconds = math.ceil(seconds) if isinstance(seconds, int | float) else None
    digits = " ".join(str(notice.get("digits", ""))[:MAX_DIGITS])
    wait = f"; again in {seconds} s" if seconds else ""
    words = {
        "opened": f"Speak now: {seconds} s." + (f" Say: {digits}" if digits else ""),
        "unclear": f"That could not be judged ({reason}). Once more, please.",
        "failed": f"Not opened{wait}.",
        "expired": "Nobody spoke.",
        "refused": f"Refused: {reason}{wait}.",
    }
    if notice["state"] == "failed" and seconds is None:
        return "Not opened, and too often by now: `voiceguard unlock reset` on its machine."
    return words.get(notice["state"], "")


def _exit_code(answer: Answer) -> ExitCode:
    if answer.envelope is not None:
        return ExitCode.OK
    if not answer.notice:
        raise BrokerError(
            "the daemon has not answered", hint="its log says why; is it the daemon of this node?"
        )
    is_silence = answer.notice["state"] in {"expired", "unclear", "opened"}
    return ExitCode.INCONCLUSIVE if is_silence else ExitCode.REJECTED
