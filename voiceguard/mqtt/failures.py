"""Why a broker could not be reached or was lost, in words and with what to do about it. Pure."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass, replace

import aiomqtt
from paho.mqtt.reasoncodes import ReasonCode


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed connection."""

    cause: str
    """Stable name, for logs: the same cause in a row is told once."""
    detail: str
    hint: str = ""
    may_be_version: bool = False
    """Whether a broker without MQTT 5 behaves like this."""


class HungUpError(ConnectionError):
    """The broker closed a connection before it had answered."""


# MQTT 5 reason codes; paho translates 3.1.1's return codes into them.
_REFUSALS = {
    132: Failure("protocol", "the broker does not speak this version of MQTT", may_be_version=True),
    133: Failure("client_id", "the broker refuses our client id", "set mqtt.client_id"),
    134: Failure(
        "bad_credentials",
        "the broker refuses the user name or the password",
        "check mqtt.username and mqtt.password_file",
    ),
    135: Failure(
        "not_authorised",
        "the broker does not let us in",
        "it may want a user name and a password, or others: see mqtt.username, mqtt.password_file",
    ),
    136: Failure("broker_unavailable", "the broker says that it is unavailable"),
    137: Failure("broker_unavailable", "the broker says that it is busy"),
    139: Failure("broker_stopped", "the broker is shutting down"),
    141: Failure("stalled", "the broker has stopped answering", "see whether it is overloaded"),
    142: Failure(
        "session_taken_over",
        "somebody else connected with our client id",
        "is a second daemon running, or another machine of the same name? give each its own "
        "mqtt.node_id",
    ),
    149: Failure(
        "too_large",
        "the broker ended the connection over a message that is larger than it takes",
        "raise its limit (mosquitto: max_packet_size)",
    ),
}

_SYSTEM_ERRORS: tuple[tuple[type[BaseException], Failure], ...] = (
    (
        ssl.SSLCertVerificationError,
        Failure(
            "tls_certificate",
            "the broker's certificate is not trusted: {error}",
            "set mqtt.ca_file to the authority that signed it, and use the name in the certificate",
        ),
    ),
    (ssl.SSLError, Failure("tls", "no TLS: {error}", "is the port the broker's TLS port?")),
    (
        socket.gaierror,
        Failure(
            "unknown_host",
            "no such host: {error}",
            "check mqtt.broker; under voiceguard's systemd unit only local name servers answer",
        ),
    ),
    (
        ConnectionRefusedError,
        Failure(
            "connection_refused",
            "nothing listens there",
            "is the broker running? check mqtt.broker",
        ),
    ),
    (
        HungUpError,
        Failure(
            "hung_up",
            "the broker hung up",
            "is this its port with, or without, TLS as you wrote?",
            may_be_version=True,
        ),
    ),
    (
        PermissionError,
        Failure(
            "forbidden",
            "this system forbids the connection: {error}",
            "a firewall? voiceguard's systemd unit lets it reach local networks only: "
            "`systemctl edit voiceguard`, IPAddressAllow=ITS-ADDRESS",
        ),
    ),
    (
        ConnectionResetError,
        Failure(
            "hung_up", "the broker hung up", "is this its port with, or without, TLS as you wrote?"
        ),
    ),
    (
        TimeoutError,
        Failure(
            "timeout",
            "the broker does not answer",
            "check mqtt.broker and the network",
            may_be_version=True,
        ),
    ),
)


def explain(error: aiomqtt.MqttError) -> Failure:
    """Finds the cause behind what aiomqtt raised; it keeps it as cause or context."""
    reason = error
    while True:
        if isinstance(reason, aiomqtt.MqttCodeError) and isinstance(reason.rc, ReasonCode):
            known = _REFUSALS.get(reason.rc.value)
            if known is not None:
                return known
            if isinstance(reason, aiomqtt.exceptions.MqttConnectError):
                return Failure("refused", f"the broker refuses the connection: {reason.rc}")
            return _lost(str(reason.rc))
        behind = reason.__cause__ or reason.__context__
        if behind is None:
            return _lost(str(error))
        if not isinstance(behind, aiomqtt.MqttError):
            return _explain_system_error(behind)
        reason = behind


def _lost(detail: str) -> Failure:
    # Older brokers do not say that they close a connection because of a newer one.
    hint = "does it come back again and again? then a second client may use our mqtt.client_id"
    return Failure("connection_lost", f"the connection broke: {detail}", hint)


def _explain_system_error(error: BaseException) -> Failure:
    for kind, failure in _SYSTEM_ERRORS:
        if isinstance(error, kind):
            return replace(failure, detail=failure.detail.format(error=error))
    return Failure("unreachable", str(error) or type(error).__name__, "check the network")
