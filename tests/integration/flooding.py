"""Commands at a stated rate, from a process of its own: ``flooding.py PORT TOPIC S RATE``."""

from __future__ import annotations

import asyncio
import socket
import sys
import time

COMMANDS_PER_S = 5000.0
_CONNECT = bytes.fromhex("101100044d5154540402003c0005666c6f6f64")
_TICK_S = 0.005


async def flood(
    port: int, topic: str, seconds: float, commands_per_s: float = COMMANDS_PER_S
) -> int:
    """QoS 0 commands, as many each second whatever else the machine does; how many were sent."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-S", __file__, str(port), topic, str(seconds), str(commands_per_s)),
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    return int(out)


def send(port: int, topic: bytes, seconds: float, commands_per_s: float) -> int:
    """Packets made beforehand, each time as many as are due."""
    with socket.create_connection(("127.0.0.1", port)) as line:
        line.sendall(_CONNECT)
        line.recv(4)
        body = len(topic).to_bytes(2, "big") + topic + b"arm"
        packet = bytes([0x30, len(body)]) + body
        began_s, num_sent = time.monotonic(), 0
        while (spent_s := time.monotonic() - began_s) < seconds:
            num_due = round(spent_s * commands_per_s) - num_sent
            line.sendall(packet * num_due)
            num_sent += num_due
            time.sleep(_TICK_S)
        return num_sent


if __name__ == "__main__":
    _, port_text, topic_text, seconds_text, rate_text = sys.argv
    print(send(int(port_text), topic_text.encode(), float(seconds_text), float(rate_text)))
