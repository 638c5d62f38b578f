"""Hop 6 of 6: an aiomqtt client that keeps what aiomqtt throws away. Event loop only."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import aiomqtt

from voiceguard.mqtt.failures import HungUpError

if TYPE_CHECKING:
    import paho.mqtt.client as paho
    from paho.mqtt.properties import Properties
    from paho.mqtt.reasoncodes import ReasonCode


class AnsweringClient(aiomqtt.Client):
    """Knows reason codes, the broker's limits, and a hang-up before the first answer."""

    limits: Properties | None = None
    """What the CONNACK said, MQTT 5 only."""
    publish_code = 0
    """The latest PUBACK's; one message is on its way at a time."""

    def _on_connect(
        self,
        client: paho.Client,
        userdata: object,
        flags: paho.ConnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        self.limits = properties
        super()._on_connect(client, userdata, flags, reason_code, properties)

    def _on_disconnect(
        self,
        client: paho.Client,
        userdata: object,
        flags: paho.DisconnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        if not self._connected.done():  # aiomqtt would wait for an answer that cannot come
            error = aiomqtt.MqttError("the broker hung up instead of answering")
            error.__cause__ = HungUpError()
            self._connected.set_exception(error)
        super()._on_disconnect(client, userdata, flags, reason_code, properties)

    def _on_publish(
        self,
        client: paho.Client,
        userdata: object,
        mid: int,
        reason_code: ReasonCode,
        properties: Properties,
    ) -> None:
        self.publish_code = reason_code.value
        super()._on_publish(client, userdata, mid, reason_code, properties)

    def _on_message(self, client: paho.Client, userdata: object, message: paho.MQTTMessage) -> None:
        with contextlib.suppress(ValueError):  # a topic that is no UTF-8 is none of ours
            super()._on_message(client, userdata, message)
