"""The speech-to-text behind a proxy: connected to for one client, and given up by name."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

from voiceguard.wyoming.events import MAX_HEADER_BYTES, Received, WyomingError, receive

if TYPE_CHECKING:
    from voiceguard.wyoming.config import Address

CONNECT_TIMEOUT_S = 5.0
TAKE_TIMEOUT_S = 10.0
"""One that takes no audio for so long is given up."""
ANSWER_TIMEOUT_S = 60.0
"""After the last of the audio; a small machine transcribes for half a minute."""


class UpstreamError(WyomingError):
    """The speech-to-text is gone, slow, or answers what is no protocol."""


class Upstream:
    """One connection to a speech-to-text.

    Args:
        address: Where it is.
        reader: From it.
        writer: To it.
        own_ports: Gets this side's address for as long as the connection lasts.
    """

    def __init__(
        self,
        address: Address,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        own_ports: set[tuple[str, int]],
    ) -> None:
        self._address = address
        self._reader = reader
        self._writer = writer
        self._own_ports = own_ports
        self._own_port: tuple[str, int] = writer.get_extra_info("sockname")[:2]
        own_ports.add(self._own_port)

    @classmethod
    async def connect(cls, address: Address, own_ports: set[tuple[str, int]]) -> Self:
        """Connects.

        Raises:
            UpstreamError: Nobody is there.
        """
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                reader, writer = await asyncio.open_connection(
                    address.host, address.port, limit=MAX_HEADER_BYTES
                )
        except TimeoutError:
            message = f"the speech-to-text at {address} does not answer"
            raise UpstreamError("upstream-unreachable", message) from None
        except OSError as error:
            message = f"the speech-to-text at {address} can't be reached: {error.strerror or error}"
            raise UpstreamError("upstream-unreachable", message) from error
        return cls(address, reader, writer, own_ports)

    async def send(self, raw: bytes) -> None:
        """Passes an event on.

        Raises:
            UpstreamError: It does not take it.
        """
        try:
            self._writer.write(raw)
            async with asyncio.timeout(TAKE_TIMEOUT_S):
                await self._writer.drain()
        except TimeoutError:
            message = f"the speech-to-text at {self._address} takes no audio any more"
            raise UpstreamError("upstream-slow", message) from None
        except ConnectionError as error:
            raise self.gone() from error

    async def receive(self) -> Received | None:
        """The next event; None where it has closed the connection.

        Raises:
            UpstreamError: It is none.
        """
        try:
            return await receive(self._reader)
        except ConnectionError as error:
            raise self.gone() from error
        except WyomingError as error:
            message = f"the speech-to-text at {self._address} answers no Wyoming: {error}"
            raise UpstreamError("upstream-garbage", message) from error

    def gone(self) -> UpstreamError:
        """It has closed the connection before it answered."""
        message = f"the speech-to-text at {self._address} has closed the connection"
        return UpstreamError("upstream-gone", message)

    def silent(self) -> UpstreamError:
        """It has not answered in time."""
        message = (
            f"the speech-to-text at {self._address} has not answered for {ANSWER_TIMEOUT_S:g} s"
        )
        return UpstreamError("upstream-slow", message)

    def close(self) -> None:
        """Leaves; what it has not taken by now it never will."""
        self._own_ports.discard(self._own_port)
        if self._writer.transport.get_write_buffer_size():
            self._writer.transport.abort()
        self._writer.close()
