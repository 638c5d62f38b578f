"""Every way in which a broker fails has a name and a hint."""

from __future__ import annotations

import socket
import ssl

import aiomqtt
import pytest
from aiomqtt.exceptions import MqttCodeError, MqttConnectError
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from voiceguard.mqtt.failures import explain


def wrapped(error: Exception) -> aiomqtt.MqttError:
    """As aiomqtt hides a system error: ``raise ... from None``."""
    try:
        try:
            raise error
        except type(error):
            raise aiomqtt.MqttError(str(error)) from None
    except aiomqtt.MqttError as wrapper:
        return wrapper


def refused(code: int) -> aiomqtt.MqttError:
    """A negative CONNACK."""
    return MqttConnectError(ReasonCode(PacketTypes.CONNACK, identifier=code))


def disconnected(code: int) -> aiomqtt.MqttError:
    """What the message iterator raises when the broker says goodbye."""
    error = aiomqtt.MqttError("Disconnected during message iteration")
    error.__cause__ = MqttCodeError(ReasonCode(PacketTypes.DISCONNECT, identifier=code))
    return error


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (refused(132), "protocol"),
        (refused(133), "client_id"),
        (refused(134), "bad_credentials"),
        (refused(135), "not_authorised"),
        (refused(137), "broker_unavailable"),
        (refused(138), "refused"),
        (disconnected(141), "stalled"),
        (disconnected(142), "session_taken_over"),
        (disconnected(139), "broker_stopped"),
        (disconnected(128), "connection_lost"),
        (aiomqtt.MqttError("odd"), "connection_lost"),
        (wrapped(ConnectionRefusedError(111, "refused")), "connection_refused"),
        (wrapped(ConnectionResetError(104, "reset")), "hung_up"),
        (wrapped(socket.gaierror(-2, "Name or service not known")), "unknown_host"),
        (wrapped(ssl.SSLCertVerificationError(1, "self-signed")), "tls_certificate"),
        (wrapped(ssl.SSLError(1, "wrong version number")), "tls"),
        (wrapped(TimeoutError()), "timeout"),
        (wrapped(OSError(101, "Network is unreachable")), "unreachable"),
    ],
)
def test_causes(error: aiomqtt.MqttError, cause: str) -> None:
    """By the stable name that the log shows."""
    failure = explain(error)
    assert failure.cause == cause
    assert failure.detail


def test_only_two_failures_speak_of_the_protocol() -> None:
    """A wrong password must not be tried a second time in MQTT 3.1.1."""
    assert explain(refused(132)).may_be_version
    assert explain(wrapped(TimeoutError())).may_be_version
    for error in (refused(134), refused(135), wrapped(ConnectionRefusedError()), disconnected(141)):
        assert not explain(error).may_be_version
