"""Tells the home's network of the proxies, so that Home Assistant offers them by itself.

Event loop; ``announce`` is a long-lived task of the daemon. What can't be announced is named in the
log and served all the same: the port and its address can be typed in.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import TYPE_CHECKING

import ifaddr
import structlog
from zeroconf import Error as ZeroconfError
from zeroconf import InterfaceChoice, IPVersion, NonUniqueNameException
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from voiceguard.wyoming.config import ProxyConfig

log = structlog.get_logger(__name__)

SERVICE = "_wyoming._tcp.local."
TRY_AGAIN_S = 60.0


async def announce(
    proxies: Iterable[ProxyConfig],
    interfaces: Sequence[str] | InterfaceChoice = InterfaceChoice.Default,
) -> None:
    """Announces every proxy that has an upstream until it is cancelled, and takes it back then.

    Args:
        proxies: Their tables.
        interfaces: The addresses to speak from.
    """
    wanted = [each for each in proxies if each.upstream]
    while wanted:
        try:
            speaker = AsyncZeroconf(interfaces=interfaces, ip_version=IPVersion.V4Only)
        except OSError as error:  # no network yet
            log.warning("not_announced", error=error.strerror)
            await asyncio.sleep(TRY_AGAIN_S)
            continue
        try:
            while wanted:
                wanted = [each for each in wanted if not await _register(speaker, each)]
                await asyncio.sleep(TRY_AGAIN_S if wanted else 0.0)
            await asyncio.get_running_loop().create_future()  # until it is cancelled
        finally:
            await speaker.async_close()


async def _register(speaker: AsyncZeroconf, proxy: ProxyConfig) -> bool:
    """Whether nothing is left to be tried again."""
    address = proxy.address
    try:
        addresses = await addresses_of(address.host)
        info = AsyncServiceInfo(
            SERVICE,
            f"voiceguard {proxy.name}.{SERVICE}",
            port=address.port,
            addresses=[ipaddress.ip_address(each).packed for each in addresses],
            server=f"voiceguard-{proxy.name}-{socket.gethostname().partition('.')[0]}.local.",
        )
        await (await speaker.async_register_service(info))
    except NonUniqueNameException:
        hint = "another machine has a proxy of this name: give each room its own"
        log.warning("not_announced", stream=proxy.name, error="the name is taken", hint=hint)
    except (OSError, ZeroconfError) as error:  # a name that nobody knows yet, say
        log.warning("not_announced", stream=proxy.name, error=str(error))
        return False
    return True


async def addresses_of(host: str) -> list[str]:
    """Where others reach what listens on it: IPv4, this machine's own for all of them.

    Raises:
        OSError: Nobody knows the name.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, None, family=socket.AF_INET, type=socket.SOCK_STREAM)
        return list(dict.fromkeys(str(place[0]) for *_, place in found))
    if not address.is_unspecified:
        return [host]
    every = [
        str(each.ip)
        for adapter in ifaddr.get_adapters()
        for each in adapter.ips
        if each.is_IPv4 and not ipaddress.ip_address(str(each.ip)).is_loopback
    ]
    return every or ["127.0.0.1"]
