"""The [[wyoming.proxy]] and [[wyoming.satellite]] tables. Pure."""

from __future__ import annotations

import ipaddress
import itertools
import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from voiceguard.validation.hosts import is_host
from voiceguard.validation.ranges import SettingsTable

_NAME = re.compile(r"[a-z0-9_-]{1,32}")
_PREFIX_FIELDS = ("{speaker}", "{name}")
MAX_PREFIX = 80
GATE_ACTION = "assist"
"""What passing a gate is called in people's rules."""


@dataclass(frozen=True, slots=True)
class Address:
    """A TCP port somewhere."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"tcp://{host}:{self.port}"

    def reaches(self, listener: Address) -> bool:
        """Whether a connection to this address surely arrives at that listener of ours."""
        if self.port != listener.port:
            return False
        return self.host == listener.host or (
            _is_loopback(self.host) and (_is_any(listener.host) or _is_loopback(listener.host))
        )

    def shares(self, other: Address) -> bool:
        """Whether both can't be listened on at the same time."""
        return self.port == other.port and (
            self.host == other.host or _is_any(self.host) or _is_any(other.host)
        )


def parse_address(name: str, text: str) -> Address:
    """Reads ``tcp://host:port``.

    Raises:
        ValueError: It is something else; ``name`` is the setting.
    """
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    is_address = host and port and text.rstrip("/").endswith(f":{port}") and is_host(host)
    if not (is_address and parts.scheme == "tcp" and "@" not in text):
        raise ValueError(f'{name} must be like "tcp://host:10300", not {text!r}')
    assert host is not None
    assert port is not None
    return Address(host, port)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyConfig(SettingsTable):
    """A port for one room's speech, a [[wyoming.proxy]] table of voiceguard.toml."""

    name: str
    """The stream's name. One port per room: Home Assistant does not say which satellite speaks."""
    listen: str
    """Where Home Assistant connects to: ``tcp://0.0.0.0:10350``."""
    upstream: str = ""
    """The speech-to-text behind it: ``tcp://core-whisper:10300``. Empty: there is none, and
    whatever client streams audio to this port is listened to."""
    policy: Literal["observe", "tag", "gate"] = "observe"
    """What becomes of the transcript. ``observe``: nothing. ``tag``: the speaker is in its context.
    ``gate``: it is empty unless the speaker was accepted, which ends the turn."""
    prefix: str = ""
    """With ``tag``: put before the text of whoever was accepted; ``{speaker}`` and ``{name}`` (as
    people read it) are replaced: ``"[{name}] "``."""
    allow: tuple[str, ...] = ()
    """With ``gate``: whose words pass, where no rule of [people] refuses them. Empty: everybody's
    who is enrolled."""

    def __post_init__(self) -> None:
        _check_name(self.name)
        _check_upstream(self)
        if self.prefix and self.policy != "tag":
            raise ValueError('prefix goes with policy = "tag"')
        rest = self.prefix
        for each in _PREFIX_FIELDS:
            rest = rest.replace(each, "")
        if len(self.prefix) > MAX_PREFIX or "{" in rest or "}" in rest or not rest.isprintable():
            raise ValueError(
                f"prefix must be at most {MAX_PREFIX} letters, with {{speaker}} or {{name}} in it"
            )
        if self.allow and self.policy != "gate":
            raise ValueError('allow goes with policy = "gate"')

    @property
    def address(self) -> Address:
        """Where to listen."""
        return parse_address("listen", self.listen)

    @property
    def upstream_address(self) -> Address | None:
        """Where the speech-to-text is; None: there is none."""
        return parse_address("upstream", self.upstream) if self.upstream else None


@dataclass(frozen=True, slots=True, kw_only=True)
class SatelliteConfig(SettingsTable):
    """A satellite that no Home Assistant has, a [[wyoming.satellite]] table of voiceguard.toml."""

    name: str
    """The stream's name."""
    address: str
    """Where the satellite listens: ``tcp://hall.local:10700``. It serves one client: one that Home
    Assistant has is heard through a ``[[wyoming.proxy]]``."""

    def __post_init__(self) -> None:
        _check_name(self.name)
        parse_address("address", self.address)

    @property
    def place(self) -> Address:
        """Where to connect to."""
        return parse_address("address", self.address)


@dataclass(frozen=True, slots=True, kw_only=True)
class WyomingConfig(SettingsTable):
    """Rooms that are heard over the network, the [wyoming] table of voiceguard.toml."""

    proxy: tuple[ProxyConfig, ...] = ()
    """Ports that audio comes to, each a stream: before a speech-to-text, or alone."""
    satellite: tuple[SatelliteConfig, ...] = ()
    """Satellites to listen to that serve nobody else, each a stream."""
    announce: bool = True
    """Tell Home Assistant of the proxies (zeroconf)."""

    def __post_init__(self) -> None:
        names = list(self.names)
        for each in names:
            if names.count(each) > 1:
                raise ValueError(f"two of them are called {each!r}: give each its own")
        for first, second in itertools.combinations(self.proxy, 2):
            if first.address.shares(second.address):
                raise ValueError(
                    f"{first.name!r} and {second.name!r} listen on the same port "
                    f"{second.address.port}: give each room its own"
                )
        for one, other in itertools.combinations(self.satellite, 2):
            if one.place == other.place:
                raise ValueError(
                    f"{one.name!r} and {other.name!r} are the same satellite {one.place}, and it "
                    "serves one client"
                )
        self._check_circles()

    def _check_circles(self) -> None:
        for ours in self.proxy:
            for proxy in self.proxy:
                upstream = proxy.upstream_address
                if upstream is not None and upstream.reaches(ours.address):
                    raise ValueError(
                        f"the upstream of {proxy.name!r}, {upstream}, is the port of "
                        f"{ours.name!r} itself: name the speech-to-text"
                    )
            for satellite in self.satellite:
                if satellite.place.reaches(ours.address):
                    raise ValueError(
                        f"the satellite {satellite.name!r}, {satellite.place}, is the port of "
                        f"{ours.name!r}: name the satellite"
                    )

    @property
    def is_used(self) -> bool:
        """Whether anything of it is configured."""
        return bool(self.proxy or self.satellite)

    @property
    def actions(self) -> tuple[str, ...]:
        """That people's rules may name: passing a gate, where there is one."""
        return (GATE_ACTION,) if any(each.policy == "gate" for each in self.proxy) else ()

    @property
    def names(self) -> tuple[str, ...]:
        """Of its streams."""
        return (*(each.name for each in self.proxy), *(each.name for each in self.satellite))


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ValueError(f"name must be 1 to 32 of a-z 0-9 _ -, not {name!r}")


def _check_upstream(config: ProxyConfig) -> None:
    address = config.address
    upstream = config.upstream_address
    if upstream is None and config.policy != "observe":
        raise ValueError(f'policy = "{config.policy}" needs an upstream: the speech-to-text')
    if upstream is not None and upstream.reaches(address):
        raise ValueError(f"upstream {upstream} is this proxy itself: name the speech-to-text")


def _is_any(host: str) -> bool:
    return host in {"0.0.0.0", "::"}  # noqa: S104  # nosec B104  # compared, not bound


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False
