"""``voiceguard mqtt forget``: nothing of the daemon stays at the broker."""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated

import typer

from voiceguard.cli.options import ConfigOption, JsonOption, StateDirOption
from voiceguard.cli.output import print_json, stderr, stdout
from voiceguard.cli.settings import configured
from voiceguard.errors import UsageError
from voiceguard.mqtt.home.forgetting import forget_all


def forget(
    node_id: Annotated[
        str | None,
        typer.Option(
            "--node-id",
            help="Of the daemon, where it was called otherwise then.",
            show_default=False,
        ),
    ] = None,
    agreed: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Even if a daemon of that name seems to be connected.")
    ] = False,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Remove from the broker all that this daemon ever left there, and it from Home Assistant.

    For the end: devices and entities go, and with them what automations know them by. Voiceprints
    and history stay here. Stop the daemon first.
    """
    settings = configured(config, state_dir=state_dir, mqtt={"node_id": node_id})
    if settings.mqtt.address is None:
        raise UsageError(
            f"mqtt.broker is {settings.mqtt.place}: no broker keeps anything",
            hint="name the broker with mqtt.broker",
        )
    where = f"{settings.mqtt.topics.base} at {settings.mqtt.place}"
    if not agreed:
        if not sys.stdin.isatty():
            raise UsageError(
                f"forgetting {where} can't be undone, and standard input is no terminal to ask on",
                hint="say so with --yes",
            )
        typer.confirm(f"Remove everything of {where}?", abort=True, err=True)
    topics = asyncio.run(forget_all(settings.mqtt, is_forced=force))
    if json_lines:
        print_json({"node_id": settings.mqtt.node_id, "topics": list(topics)})
        return
    for topic in topics:
        stderr.print(topic, style="dim", markup=False, soft_wrap=True)
    stdout.print(f"{len(topics)} retained topic(s) of {where} removed", soft_wrap=True)
