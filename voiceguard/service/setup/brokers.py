"""Finds the MQTT broker of a home, and says whether it lets us in.

In this order: the configured one, this machine, whoever announces MQTT on the network, the machine
behind Home Assistant. Blocking. Looking at the network takes two seconds and the package zeroconf.
"""

from __future__ import annotations

import contextlib
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import aiomqtt

from voiceguard.mqtt.config import parse_broker
from voiceguard.mqtt.failures import explain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from voiceguard.errors import VoiceguardError

LISTENS_WITHIN_S = 0.7
BROWSE_S = 2.0
MQTT_SERVICE = "_mqtt._tcp.local."
HOME_ASSISTANT_SERVICE = "_home-assistant._tcp.local."
PORTS_BESIDE_HOME_ASSISTANT = {"mqtts": 8883, "mqtt": 1883}

_WANTS_LOGIN = {"bad_credentials", "not_authorised"}


@dataclass(frozen=True, slots=True)
class Found:
    """A broker that may be there."""

    url: str
    where: str
    """How we know, for people."""


def likely_brokers(
    configured: str | None, browse: Callable[[], Iterable[Found]] | None = None
) -> Iterator[Found]:
    """Brokers whose port answers, the likeliest first; the network is asked when those are used up.

    Args:
        configured: What a configuration that is there says; None: there is none.
        browse: Looks at the network.
    """
    near = [Found(configured, "the configured one")] if configured else []
    near.append(Found("mqtt://localhost", "on this machine"))
    yield from filter(_listens, near)
    yield from filter(_listens, (browse or browse_network)())


def _listens(found: Found) -> bool:
    address = parse_broker(found.url)
    if address is None:
        return False
    with contextlib.suppress(OSError):
        socket.create_connection((address.host, address.port), LISTENS_WITHIN_S).close()
        return True
    return False


def can_browse() -> bool:
    """Whether the package is there that looks at the network."""
    try:
        import zeroconf  # noqa: F401, PLC0415
    except ImportError:
        return False
    return True


def browse_network(interfaces: list[str] | None = None, for_s: float = BROWSE_S) -> Iterator[Found]:
    """What is announced by mDNS: brokers first, then where Home Assistant runs; nothing without it.

    Args:
        interfaces: Addresses of those to ask on; None: all.
        for_s: How long answers are waited for.
    """
    try:
        from zeroconf import InterfaceChoice, ServiceBrowser, Zeroconf  # noqa: PLC0415
    except ImportError:
        return
    heard: list[tuple[str, str]] = []
    try:
        network = Zeroconf(interfaces=interfaces or InterfaceChoice.Default)
    except OSError:  # no network at all
        return
    with network:
        services = [MQTT_SERVICE, HOME_ASSISTANT_SERVICE]

        def note(service_type: str, name: str, **_: object) -> None:
            heard.append((service_type, name))

        browser = ServiceBrowser(network, services, handlers=[note])
        time.sleep(for_s)
        browser.cancel()
        # brokers before those that may have one beside them
        for kind, name in sorted(set(heard), key=lambda each: services.index(each[0])):
            info = network.get_service_info(kind, name)
            addresses = [] if info is None else info.parsed_addresses()
            if not addresses or info is None:
                continue
            called = name.removesuffix(f".{kind}")
            host = f"[{addresses[0]}]" if ":" in addresses[0] else addresses[0]
            if kind == MQTT_SERVICE:
                yield Found(f"mqtt://{host}:{info.port or 1883}", f'announced as "{called}"')
                continue
            for scheme, port in PORTS_BESIDE_HOME_ASSISTANT.items():
                yield Found(f"{scheme}://{host}:{port}", f'where Home Assistant "{called}" runs')


def wants_login(error: VoiceguardError) -> bool:
    """Whether a broker said no for want of a user and a password, or of others."""
    cause = error.__cause__
    return isinstance(cause, aiomqtt.MqttError) and explain(cause).cause in _WANTS_LOGIN


def as_url(typed: str) -> str:
    """What a person types for a broker, as the setting has it: a bare host is MQTT without TLS."""
    typed = typed.strip()
    return typed if "://" in typed or typed in {"embedded", "none"} else f"mqtt://{typed}"
