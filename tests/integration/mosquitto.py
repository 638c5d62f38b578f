"""A real mosquitto for tests: its own port and directory, with passwords or TLS, stoppable."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import time
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

import aiomqtt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.services import free_port, require_program

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from pathlib import Path

_START_TIMEOUT_S = 10.0


class Mosquitto:
    """One broker process on 127.0.0.1. ``start`` and ``stop`` may be repeated: the port stays.

    Args:
        folder: An empty directory of its own.
        users: Name to password; without them everybody is let in.
        tls: Whether to speak TLS, with a certificate for ``localhost`` made now.
        acl: Its access list.
        options: Further lines of its configuration.
    """

    def __init__(
        self,
        folder: Path,
        *,
        users: Mapping[str, str] | None = None,
        tls: bool = False,
        acl: str | None = None,
        options: Sequence[str] = (),
    ) -> None:
        self.port = free_port()
        self.folder = folder
        self.ca_file = folder / "ca.pem"
        self._program = require_program("mosquitto")
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        lines = [f"listener {self.port} 127.0.0.1", "persistence false", "log_type all"]
        lines += ["user root"] if os.geteuid() == 0 else []  # else it can't read its files
        if users:
            self._write_passwords(users)
            lines += ["allow_anonymous false", f"password_file {folder / 'passwords'}"]
        else:
            lines += ["allow_anonymous true"]
        if tls:
            write_certificates(folder)
            lines += [f"certfile {folder / 'cert.pem'}", f"keyfile {folder / 'key.pem'}"]
        if acl is not None:
            (folder / "acl").write_text(acl)
            (folder / "acl").chmod(0o600)
            lines += [f"acl_file {folder / 'acl'}"]
        lines += options
        self._config = folder / "mosquitto.conf"
        self._config.write_text("\n".join(lines) + "\n")
        self._scheme = "mqtts" if tls else "mqtt"

    @property
    def url(self) -> str:
        """For MqttConfig.broker; ``localhost`` because that is what the certificate says."""
        return f"{self._scheme}://localhost:{self.port}"

    @property
    def log(self) -> str:
        """What the broker said so far."""
        return (self.folder / "log").read_text(errors="replace")

    async def start(self) -> None:
        """Returns when the broker accepts connections."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: ASYNC220  # forks in milliseconds
                [self._program, "-c", str(self._config)], stdout=log, stderr=log
            )
        deadline_s = time.monotonic() + _START_TIMEOUT_S
        while not self._listens():
            if self._process.poll() is not None or time.monotonic() > deadline_s:
                raise AssertionError(f"mosquitto did not start:\n{self.log}")
            await asyncio.sleep(0.02)

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Ends the process; safe to call twice."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGCONT)
            # Said again: mosquitto 2.0 forgets what it hears just before its loop begins.
            while process.poll() is None:
                process.send_signal(number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    await asyncio.to_thread(process.wait, 1.0)

    def stall(self) -> None:
        """The process stands still: connections stay open, and nobody answers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Ends ``stall``."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def _write_passwords(self, users: Mapping[str, str]) -> None:
        path = self.folder / "passwords"
        path.write_text("".join(f"{name}:{password}\n" for name, password in users.items()))
        # Turns the plain passwords into hashes, in place.
        subprocess.run([require_program("mosquitto_passwd"), "-U", str(path)], check=True)


@contextlib.asynccontextmanager
async def mosquitto(
    folder: Path,
    *,
    users: Mapping[str, str] | None = None,
    tls: bool = False,
    acl: str | None = None,
    options: Sequence[str] = (),
) -> AsyncIterator[Mosquitto]:
    """A broker that runs as long as the block."""
    broker = Mosquitto(folder, users=users, tls=tls, acl=acl, options=options)
    await broker.start()
    try:
        yield broker
    finally:
        await broker.stop(signal.SIGKILL)


class Consumer:
    """An independent MQTT client that keeps all it receives, in order."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self.client = client
        self.messages: list[aiomqtt.Message] = []

    async def collect(self) -> None:
        with contextlib.suppress(aiomqtt.MqttError):  # the test stops the broker
            async for message in self.client.messages:
                self.messages.append(message)

    def payloads(self, topic: str) -> list[str]:
        """What came on a topic, oldest first."""
        return [text(message) for message in self.messages if str(message.topic) == topic]

    def last(self, topic: str) -> str | None:
        """The latest payload of a topic."""
        return next(iter(reversed(self.payloads(topic))), None)

    async def until(self, is_there: Callable[[], bool], timeout_s: float = 8.0) -> None:
        """Waits for messages; fails with what did come."""
        await until(is_there, timeout_s, lambda: [(str(m.topic), text(m)) for m in self.messages])


def text(message: aiomqtt.Message) -> str:
    """A message's payload."""
    assert isinstance(message.payload, bytes)
    return message.payload.decode()


async def until(
    is_there: Callable[[], bool], timeout_s: float = 8.0, seen: Callable[[], object] = str
) -> None:
    """Polls; fails with ``seen`` when it takes too long."""
    deadline_s = time.monotonic() + timeout_s
    while not is_there():
        assert time.monotonic() < deadline_s, f"did not happen; seen: {seen()}"
        await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def consumer(
    port: int, *topics: str, protocol: aiomqtt.ProtocolVersion = aiomqtt.ProtocolVersion.V5
) -> AsyncIterator[Consumer]:
    """A client without TLS or password, subscribed at QoS 1 to ``topics``, by default all."""
    async with aiomqtt.Client("127.0.0.1", port, protocol=protocol) as client:
        listener = Consumer(client)
        for topic in topics or ("#",):
            await client.subscribe(topic, qos=1)
        collecting = asyncio.create_task(listener.collect(), name="test consumer")
        try:
            yield listener
        finally:
            collecting.cancel()
            await asyncio.wait({collecting})


def write_certificates(folder: Path) -> None:
    """``ca.pem``, and ``cert.pem`` with ``key.pem`` for localhost that it signed; for a day."""
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "voiceguard test CA")])
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    ca = (
        _builder(ca_name, ca_name, ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(
            x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), critical=False
        )
        .sign(ca_key, hashes.SHA256())
    )
    names = [x509.DNSName("localhost"), x509.IPAddress(IPv4Address("127.0.0.1"))]
    certificate = (
        _builder(name, ca_name, key.public_key())
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False
        )
        .sign(ca_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "ca.pem").write_bytes(ca.public_bytes(pem))
    (folder / "cert.pem").write_bytes(certificate.public_bytes(pem))
    (folder / "key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
