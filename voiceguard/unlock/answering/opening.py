"""From settings to a desk, or to an error that says why no lock could be answered. Blocking."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voiceguard.clock import elapsed_s
from voiceguard.errors import ConfigError, install_command
from voiceguard.unlock.answering.desk import Desk
from voiceguard.unlock.config import check_unlock
from voiceguard.unlock.counters import moment_at
from voiceguard.unlock.keys import load_signing_key, signing_key_file
from voiceguard.unlock.records import Records
from voiceguard.wyoming.config import parse_address

if TYPE_CHECKING:
    from collections.abc import Collection
    from concurrent.futures import Executor
    from pathlib import Path

    from voiceguard.clock import Clock
    from voiceguard.mqtt.config import MqttConfig
    from voiceguard.types import Channel
    from voiceguard.unlock.answering.pending import Home
    from voiceguard.unlock.config import UnlockConfig
    from voiceguard.unlock.hearing import Hearing


def open_desk(
    config: UnlockConfig,
    mqtt: MqttConfig,
    *,
    state: Path,
    streams: Collection[str],
    pre_roll_s: float,
    channel: Channel,
    executor: Executor,
    clock: Clock,
    home: Home,
    policy: dict[str, Any],
) -> Desk:
    """The desk of a daemon whose settings name at least one action.

    Args:
        config: The [unlock] table.
        mqtt: Where locks are answered.
        state: The state directory.
        streams: The daemon's, by name.
        pre_roll_s: Of the gate.
        channel: Of microphones.
        executor: For the disk.
        clock: Time.
        home: The daemon.
        policy: What may be opened, as the audit log notes it.

    Raises:
        ConfigError: There is no broker, or an action names a stream that there is not.
        UnlockKeyError: The key is missing or unusable.
    """
    check_unlock(config, mqtt, streams=streams)
    return Desk(
        config,
        topics=mqtt.topics,
        key=load_signing_key(signing_key_file(state)),
        records=Records(state, lambda: moment_at(elapsed_s(clock))),
        policy=policy,
        pre_roll_s=pre_roll_s,
        executor=executor,
        clock=clock,
        home=home,
        hearing=_hearing(config, channel) if config.has_challenges else None,
    )


def _hearing(config: UnlockConfig, channel: Channel) -> Hearing:
    try:
        from voiceguard.unlock.hearing import Hearing  # noqa: PLC0415 - an extra's package
    except ModuleNotFoundError as error:
        raise ConfigError(
            f'level = "challenge" needs the package {error.name}, which is not installed',
            hint=install_command("wyoming"),
        ) from error
    address = parse_address("speech_to_text", config.speech_to_text)
    return Hearing(address, config.language, channel)
