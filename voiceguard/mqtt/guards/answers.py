"""Hop 6 of 6: an aiomqtt client that keeps what aiomqtt throws away. Event loop only."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import aiomqtt
from paho.mqtt.enums import MQTTErrorCode

from voiceguard.mqtt.failures import HungUpError

if TYPE_CHECKING:
    from collections.abc import Callable

    import paho.mqtt.client as paho
    from paho.mqtt.properties import Properties
    from paho.mqtt.reasoncodes import ReasonCode

_QOS_BITS = 0x06
_PASSED_AT_ONCE = 100


class AnsweringClient(aiomqtt.Client):
    """Knows reason codes, the broker's limits, and a hang-up before the first answer."""

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401  # aiomqtt's
        super().__init__(*arguments, **options)
        self.admits: Callable[[str], bool] = lambda _topic: True
        """Asked for the topic of every message; what it does not admit is not even parsed."""
        self._num_passed_over = 0
        self._is_unwanted = False
        self._handle_publish = self._client._handle_publish  # noqa: SLF001
        self._loop_read = self._client.loop_read
        # paho has no hook before a message is parsed, which is most of what one costs (see
        # tests/integration/test_broker_faults.py: 5,000 a second).
        vars(self._client).update(_handle_publish=self._take_or_pass_over, loop_read=self._read_on)

    limits: Properties | None = None
    """What the CONNACK said, MQTT 5 only."""
    publish_code = 0
    """The latest PUBACK's; one message is on its way at a time."""

    def unsubscribe_at_once(self, topic: str) -> None:
        """Sends it; aiomqtt would wait for the answer, which it now only logs as unexpected."""
        self._client.unsubscribe(topic)

    def _take_or_pass_over(self) -> MQTTErrorCode:
        """Called by paho with a whole PUBLISH."""
        incoming = self._client._in_packet  # noqa: SLF001
        packet = incoming["packet"]
        topic = bytes(packet[2 : 2 + int.from_bytes(packet[:2], "big")]).decode(errors="replace")
        if self.admits(topic):
            return self._handle_publish()
        self._num_passed_over += 1
        if not incoming["command"] & _QOS_BITS:
            return MQTTErrorCode.MQTT_ERR_SUCCESS
        self._is_unwanted = True  # but the broker waits for an answer
        try:
            return self._handle_publish()
        finally:
            self._is_unwanted = False

    def _read_on(self, max_packets: int = 1) -> MQTTErrorCode:
        """One packet each time that the loop comes round, but all that is to be passed over."""
        code = MQTTErrorCode.MQTT_ERR_SUCCESS
        for _ in range(_PASSED_AT_ONCE):
            num_before = self._num_passed_over
            code = self._loop_read(max_packets)
            if self._num_passed_over == num_before:
                break
        return code

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
        if self._is_unwanted:
            return
        with contextlib.suppress(ValueError):  # a topic that is no UTF-8 is none of ours
            super()._on_message(client, userdata, message)
