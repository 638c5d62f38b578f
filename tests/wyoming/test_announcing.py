"""The announcement, as a browser on the same network sees it; all of it on loopback."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from structlog.testing import capture_logs
from zeroconf import IPVersion
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from voiceguard.wyoming import announcing as announcing_module
from voiceguard.wyoming.announcing import SERVICE, addresses_of, announce
from voiceguard.wyoming.config import ProxyConfig

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pytest

LOOPBACK = ["127.0.0.1"]
KITCHEN = ProxyConfig(
    name="kitchen", listen="tcp://127.0.0.1:10350", upstream="tcp://127.0.0.1:10300"
)
ALONE = ProxyConfig(name="hall", listen="tcp://127.0.0.1:10351")


@asynccontextmanager
async def announcing(*proxies: ProxyConfig) -> AsyncIterator[None]:
    task = asyncio.create_task(announce(proxies, LOOPBACK))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


async def found(name: str, *, within_s: float = 3.0) -> AsyncServiceInfo | None:
    browser = AsyncZeroconf(interfaces=LOOPBACK, ip_version=IPVersion.V4Only)
    try:
        info = AsyncServiceInfo(SERVICE, f"voiceguard {name}.{SERVICE}")
        is_there = await info.async_request(browser.zeroconf, within_s * 1000)
        return info if is_there else None
    finally:
        await browser.async_close()


async def test_a_proxy_is_found_with_address_and_port_and_a_name_can_be_had_once() -> None:
    async with announcing(KITCHEN, ALONE):
        info = await found("kitchen", within_s=10.0)
        assert info is not None
        assert (info.parsed_addresses(), info.port) == (LOOPBACK, 10350)
        assert await found("hall", within_s=0.3) is None  # no speech-to-text behind it
        with capture_logs() as logged:
            async with announcing(KITCHEN):
                for _ in range(100):
                    if any(each["event"] == "not_announced" for each in logged):
                        break
                    await asyncio.sleep(0.1)
    (warning,) = [each for each in logged if each["event"] == "not_announced"]
    assert warning["error"] == "the name is taken"


async def test_a_name_that_nobody_knows_yet_ends_nothing_and_is_asked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As at boot, before there is a network: the daemon goes on, and the others are announced."""
    known = socket.getaddrinfo
    num_asked = 0

    def unknown_at_first(host: Any, *rest: Any, **more: Any) -> Any:  # noqa: ANN401
        nonlocal num_asked
        if host == "kitchen.home":
            num_asked += 1
            if num_asked == 1:
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            host = "127.0.0.1"
        return known(host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", unknown_at_first)
    monkeypatch.setattr(announcing_module, "TRY_AGAIN_S", 0.1)
    named = replace(KITCHEN, listen="tcp://kitchen.home:10350")
    other = replace(KITCHEN, name="attic", listen="tcp://127.0.0.1:10352")
    with capture_logs() as logged:
        async with announcing(named, other):
            for name, port in (("attic", 10352), ("kitchen", 10350)):
                info = await found(name, within_s=10.0)
                assert info is not None, name
                assert (info.parsed_addresses(), info.port) == (LOOPBACK, port)
    assert [each["error"] for each in logged if each["event"] == "not_announced"] == [
        "[Errno -2] Name or service not known"
    ]


async def test_what_listens_everywhere_is_reached_at_this_machines_addresses() -> None:
    assert await addresses_of("192.0.2.7") == ["192.0.2.7"]
    assert await addresses_of("localhost") == LOOPBACK
    everywhere = await addresses_of("0.0.0.0")
    assert everywhere
    assert "0.0.0.0" not in everywhere
