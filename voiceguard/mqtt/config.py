"""The [mqtt] table: which broker, who we are there, how long anything may take. Pure."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass, field, replace
from pathlib import Path  # noqa: TC003  # pydantic-settings resolves these annotations
from typing import Annotated, Literal
from urllib.parse import unquote, urlsplit

from voiceguard.mqtt.topics import Topics
from voiceguard.validation.hosts import is_host
from voiceguard.validation.ranges import Between, SettingsTable, check_ranges

_NODE = re.compile(r"[a-z0-9_-]{1,64}")
_PREFIX = re.compile(r"[A-Za-z0-9_-]{1,64}(/[A-Za-z0-9_-]{1,64}){0,7}")
_URL = re.compile(r"https?://[!-~]{1,200}")
_MAX_CLIENT_ID = 64
_PORTS = {"mqtt": 1883, "mqtts": 8883}


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where a broker listens."""

    host: str
    port: int
    tls: bool = False
    username: str | None = None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mqtts' if self.tls else 'mqtt'}://{host}:{self.port}"


class _HostName(str):
    """A node id that nobody chose."""

    __slots__ = ()


def default_node_id() -> str:
    """This machine's name, in the characters that a node id may have."""
    name = socket.gethostname().split(".", maxsplit=1)[0].lower()
    return _HostName(re.sub(r"[^a-z0-9_-]+", "-", name).strip("-")[:64] or "voiceguard")


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttConfig(SettingsTable):
    """How decisions reach the home, the [mqtt] table of voiceguard.toml."""

    broker: str = "mqtt://localhost"
    """``mqtt://[user@]host[:port]``, ``mqtts://...`` (TLS), ``embedded`` (a broker inside this
    process, on loopback, without passwords: first runs only) or ``none``."""
    username: str | None = None
    """At the broker; or in its address, ``mqtt://user@host``."""
    password_file: Path | None = None
    """Holds the password and nothing else; mode 0600, or a systemd credential."""
    ca_file: Path | None = None
    """PEM; instead of the system's certificate authorities (mqtts only)."""
    client_cert_file: Path | None = None
    """For a broker that wants a client certificate; PEM, with ``client_key_file``."""
    client_key_file: Path | None = None
    """The key of that certificate; PEM."""
    protocol: Literal["auto", "5", "3.1.1"] = "auto"
    """``auto``: MQTT 5, and 3.1.1 where the broker knows no better."""
    prefix: str = "voiceguard"
    """First part of every topic."""
    node_id: str = field(default_factory=default_node_id)
    """Second part of every topic; unique per daemon. Default: this machine's name and a few
    characters that the state directory keeps, because many machines have the same name."""
    client_id: str | None = None
    """Unique per connection to the broker. Default: ``voiceguard-<node_id>``."""
    discovery: bool = True
    """Tell Home Assistant what there is."""
    discovery_prefix: str = "homeassistant"
    """Where Home Assistant looks for it."""
    configuration_url: str = ""
    """A page about this daemon (a wiki, a router's), which Home Assistant offers as *Visit* on its
    devices and names as the announcement's origin. Empty: none."""
    occupancy_hold_s: Annotated[float, Between(1, 600)] = 30.0
    """How long after an accept its speaker counts as present, unless a decision says otherwise."""
    keepalive_s: Annotated[int, Between(1, 300)] = 10
    """A broker that is silent for up to twice as long is given up."""
    timeout_s: Annotated[float, Between(0.1, 60)] = 5.0
    """Longest wait for a connection, and for each acknowledgement."""
    decisions_without_expiry: bool = False
    """Whether decisions go to a broker of MQTT 3.1.1 too, in which nothing expires. True vouches
    that it keeps no QoS 0 message for clients that are away (mosquitto: ``queue_qos0_messages
    false``): one that does can deliver an old accept hours later. The embedded broker keeps none
    and needs no vouching."""
    outbox_size: Annotated[int, Between(1, 10_000)] = 64
    """Decisions that wait while the broker is away; the oldest are dropped and counted."""

    def __post_init__(self) -> None:
        address = parse_broker(self.broker)
        if (
            address is not None
            and address.username
            and self.username not in {None, address.username}
        ):
            raise ValueError("username and broker name different users: give one")
        if not _NODE.fullmatch(self.node_id):
            raise ValueError(f"node_id must be 1 to 64 of a-z 0-9 _ -, not {self.node_id!r}")
        for name in ("prefix", "discovery_prefix"):
            if not _PREFIX.fullmatch(getattr(self, name)):
                raise ValueError(
                    f"{name} must be words of A-Z a-z 0-9 _ - joined by /, "
                    f"not {getattr(self, name)!r}"
                )
        if self.client_id is not None and not 1 <= len(self.client_id) <= _MAX_CLIENT_ID:
            raise ValueError(f"client_id must have 1 to {_MAX_CLIENT_ID} characters")
        if self.protocol not in {"auto", "5", "3.1.1"}:
            raise ValueError(f'protocol must be "auto", "5" or "3.1.1", not {self.protocol!r}')
        if self.broker == "embedded" and self.protocol == "5":
            raise ValueError('the embedded broker speaks only MQTT 3.1.1: set protocol = "auto"')
        if self.configuration_url and not _URL.fullmatch(self.configuration_url):
            raise ValueError("configuration_url must be http:// or https:// and no blanks")
        self._check_tls(address)
        check_ranges(self)

    def _check_tls(self, address: BrokerAddress | None) -> None:
        if (self.client_cert_file is None) != (self.client_key_file is None):
            raise ValueError("client_cert_file and client_key_file need each other")
        has_tls_files = self.ca_file is not None or self.client_cert_file is not None
        if has_tls_files and (address is None or not address.tls):
            raise ValueError("ca_file and client_cert_file need mqtts://")
        if self.password_file is not None and address is not None and self.login is None:
            raise ValueError("password_file needs a username (or mqtt://user@host)")

    def with_node_suffix(self, suffix: str) -> MqttConfig:
        """Makes a node id that nobody chose unlike those of other machines of this name."""
        if not suffix or not isinstance(self.node_id, _HostName):
            return self
        return replace(self, node_id=f"{self.node_id[: 63 - len(suffix)]}-{suffix}")

    @property
    def may_decide_without_expiry(self) -> bool:
        """Whether a broker of MQTT 3.1.1 gets decisions; amqtt keeps nothing for anonymous ones."""
        return self.decisions_without_expiry or self.broker == "embedded"

    @property
    def is_enabled(self) -> bool:
        """Whether there is a broker to talk to at all."""
        return self.broker != "none"

    @property
    def address(self) -> BrokerAddress | None:
        """The broker's; None for ``embedded`` and ``none``."""
        return parse_broker(self.broker)

    @property
    def place(self) -> str:
        """The broker as it may be shown: no user, whatever else stood in the URL."""
        return str(self.address or self.broker)

    @property
    def login(self) -> str | None:
        """The user name, wherever it was given."""
        address = self.address
        return self.username or (address.username if address is not None else None)

    @property
    def topics(self) -> Topics:
        return Topics(self.prefix, self.node_id, self.discovery_prefix)


def parse_broker(broker: str) -> BrokerAddress | None:
    """Reads the ``broker`` setting; None for ``embedded`` and ``none``.

    Raises:
        ValueError: It is none of the forms that MqttConfig.broker names.
    """
    if broker in {"embedded", "none"}:
        return None
    # Nothing of the text is ever repeated: wherever its marks are missing, a password may stand.
    try:
        return _parse_url(broker)
    except _PasswordError:
        raise ValueError(
            "broker must not contain a password, which `ps` shows to every user of this machine: "
            "write it into a file of mode 0600 and set password_file"
        ) from None
    except ValueError as error:
        own = f"; {error}" if isinstance(error, _BadPartError) else ""
        raise ValueError(
            f"broker must be mqtt://[user@]host[:port], mqtts://..., embedded or none{own}"
        ) from None


class _PasswordError(ValueError):
    """There is a password in it."""


class _BadPartError(ValueError):
    """A message of ours, which repeats nothing."""


def _parse_url(broker: str) -> BrokerAddress:
    url = urlsplit(broker)
    if url.password is not None:
        raise _PasswordError
    username = unquote(url.username or "", errors="strict")
    if ":" in username:
        raise _PasswordError
    if not username.isprintable():
        raise _BadPartError("the user has characters that cannot be printed")
    try:
        port = url.port
    except ValueError:
        raise _BadPartError("the port is no number up to 65535") from None
    is_plain = not (url.path.strip("/") or url.query or url.fragment)
    if url.scheme not in _PORTS or port == 0 or not is_plain:
        raise ValueError
    if not url.hostname or not is_host(url.hostname):
        raise _BadPartError("the host is no name and no address")
    return BrokerAddress(
        host=url.hostname,
        port=port or _PORTS[url.scheme],
        tls=url.scheme == "mqtts",
        username=username or None,
    )
