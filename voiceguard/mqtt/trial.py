"""What ``voiceguard doctor`` asks a broker, beside a running daemon.

Event loop of its own. ``check_broker`` connects and publishes nothing. ``try_broker`` does what the
daemon does, with the very settings, under another client id and on topics of its own, and removes
what it left there.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets as random_names
from dataclasses import replace
from typing import TYPE_CHECKING

import aiomqtt

from voiceguard.errors import BrokerError
from voiceguard.mqtt.connection import Connection, Protocol, connect
from voiceguard.mqtt.failures import explain
from voiceguard.mqtt.guards.credentials import Secrets, load_secrets
from voiceguard.mqtt.guards.refusals import (
    NO_EXPIRY,
    NO_EXPIRY_HINT,
    REFUSED,
    detail_of,
    hint_of,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from voiceguard.mqtt.config import BrokerAddress, MqttConfig

_ARRIVES_WITHIN_S = 2.0
_MAX_CLIENT_ID = 64
_SUFFIX = "-check"


async def check_broker(config: MqttConfig) -> str:
    """Connects once, beside a running daemon and publishing nothing.

    Returns:
        Address and protocol, for people.

    Raises:
        BrokerError: It cannot be reached or refuses us; the hint says what to mend.
        ConfigError: A password or certificate file is unusable.
    """
    # Not the daemon's client id: the broker would throw the daemon out.
    visitor = replace(config, client_id=f"voiceguard-check-{os.getpid()}")
    async with (
        visiting(visitor) as (address, secrets),
        connect(visitor, address, secrets, has_will=False) as connection,
    ):
        _check_expiry(config, address, connection.protocol)
        return f"{address}, MQTT {connection.protocol}"
    raise AssertionError("an error of the block above is raised again")


async def try_broker(config: MqttConfig) -> str:
    """Publishes, subscribes, retains and leaves a will, as the daemon does with these settings.

    As ``<client_id>-check`` on ``<base>/check/#``, which is empty afterwards. What the broker's
    access list binds to the daemon's client id cannot be tried beside the daemon.

    Returns:
        Address, protocol and what worked, for people.

    Raises:
        BrokerError: Something did not work; the hint says what to mend.
        ConfigError: A password or certificate file is unusable.
    """
    identifier = config.client_id or f"voiceguard-{config.node_id}"
    visitor = replace(config, client_id=identifier[: _MAX_CLIENT_ID - len(_SUFFIX)] + _SUFFIX)
    async with visiting(visitor) as (address, secrets):
        trial = _Trial(visitor, address, secrets)
        try:
            await trial.run()
        finally:
            if trial.protocol is not None:
                await trial.clear()
        _check_expiry(config, address, trial.protocol)
        return (
            f"{address}, MQTT {trial.protocol}: publish, subscribe, retain and will work in "
            f"{config.topics.check}/# (untested: an access list bound to the client id)"
        )
    raise AssertionError("an error of the block above is raised again")


@contextlib.asynccontextmanager
async def visiting(config: MqttConfig) -> AsyncIterator[tuple[BrokerAddress, Secrets]]:
    """Address and secrets for a connection; what goes wrong with it is a BrokerError."""
    address = config.address
    if address is None:
        raise BrokerError(
            f"broker is {config.place}: there is nothing to connect to",
            hint="set mqtt.broker to mqtt://HOST",
        )
    secrets = await asyncio.to_thread(load_secrets, config, address)
    try:
        yield address, secrets
    except aiomqtt.MqttError as error:
        failure = explain(error)
        raise BrokerError(f"{address}: {failure.detail}", hint=failure.hint) from error


def _check_expiry(config: MqttConfig, address: BrokerAddress, protocol: Protocol | None) -> None:
    """As the daemon, which sends no decision there."""
    if protocol == "3.1.1" and not config.may_decide_without_expiry:
        raise BrokerError(f"{address} gets no decisions: {NO_EXPIRY}", hint=NO_EXPIRY_HINT)


class _Trial:
    """One run of every kind of message."""

    def __init__(self, config: MqttConfig, address: BrokerAddress, secrets: Secrets) -> None:
        self.protocol: Protocol | None = None
        self._config = config
        self._address = address
        self._secrets = secrets
        self._mark = random_names.token_hex(8)
        base = config.topics.check
        self._all, self._state, self._event = f"{base}/#", f"{base}/state", f"{base}/event"
        self._will = f"{base}/will"

    def _connect(self, *, has_will: bool) -> contextlib.AbstractAsyncContextManager[Connection]:
        will = aiomqtt.Will(self._will, self._mark, qos=1, retain=True)
        return connect(
            self._config,
            self._address,
            self._secrets,
            self.protocol,
            has_will=has_will,
            will=will,
        )

    async def run(self) -> None:
        """First alive, then as one who vanished."""
        with contextlib.suppress(_VanishedError):
            async with self._connect(has_will=True) as connection:
                self.protocol = connection.protocol
                topics = self._config.topics
                for topic in (self._all, topics.command):
                    self._check(await connection.subscribe(topic), "subscribe", topic)
                if self._config.discovery:
                    for topic in (topics.birth, topics.discovery):
                        self._check(await connection.subscribe(topic), "subscribe", topic)
                event = await connection.publish_event(self._event, self._mark, expires_in_s=5.0)
                self._check(event, "publish", self._event)
                state = await connection.publish_state(self._state, self._mark, lifetime_s=60.0)
                self._check(state, "publish", self._state)
                await self._wait_for(connection, {self._event, self._state}, is_retained=False)
                raise _VanishedError
        async with self._connect(has_will=False) as connection:
            self._check(await connection.subscribe(self._all), "subscribe", self._all)
            await self._wait_for(connection, {self._state, self._will}, is_retained=True)

    async def clear(self) -> None:
        """Nothing of it stays, whatever failed."""
        with contextlib.suppress(aiomqtt.MqttError):
            async with self._connect(has_will=False) as connection:
                for topic in (self._state, self._will):
                    await connection.publish_state(topic, "")

    def _check(self, code: int, verb: str, topic: str) -> None:
        if code >= REFUSED:
            raise BrokerError(
                f"{self._address} refuses to let us {verb} {topic}: {detail_of(code)}",
                hint=hint_of(code, verb, topic),
            )

    async def _wait_for(
        self, connection: Connection, topics: set[str], *, is_retained: bool
    ) -> None:
        missing = set(topics)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_ARRIVES_WITHIN_S):
                async for message in connection.messages:
                    is_ours = message.payload == self._mark.encode()
                    # A will may come while we are there already, and is then no retained one.
                    if is_ours and (
                        message.retain or not is_retained or message.topic.value == self._will
                    ):
                        missing.discard(message.topic.value)
                    if not missing:
                        return
        what = "is not kept or not sent to us" if is_retained else "does not come back to us"
        said = f"{min(missing)} {what}"
        if missing == {self._will}:
            said = f"the last will of who vanishes at {self._will} is not sent"
        raise BrokerError(
            f"{self._address} takes what we publish, but {said}",
            hint="allow our user to read and write it in the broker's access list (mosquitto: "
            f"`topic readwrite {self._config.topics.base}/#` in its acl_file)",
        )


class _VanishedError(aiomqtt.MqttError):
    """Leaves a connection as a power cut does: without a DISCONNECT, so that the will is sent."""

    def __init__(self) -> None:
        super().__init__("gone, on purpose")
