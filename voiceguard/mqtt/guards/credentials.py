"""Hop 6 of 6: passwords and certificates, read for each connection and shown nowhere. Blocking."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from voiceguard.errors import ConfigError
from voiceguard.validation.files import read_text

if TYPE_CHECKING:
    from pathlib import Path

    from voiceguard.mqtt.config import BrokerAddress, MqttConfig

MAX_PASSWORD_BYTES = 65_535
"""MQTT's own limit, section 3.1.3.6."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """What is read from files for each connection, so that a renewed one is used."""

    password: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = None


def load_secrets(config: MqttConfig, address: BrokerAddress) -> Secrets:
    """Reads the password and the certificates. Blocking.

    Raises:
        ConfigError: A file is missing, malformed, or readable by others.
    """
    password = None if config.password_file is None else _read_password(config.password_file)
    if not address.tls:
        return Secrets(password)
    files = [config.ca_file, config.client_cert_file, config.client_key_file]
    try:
        context = ssl.create_default_context(cafile=config.ca_file)
        if config.client_cert_file is not None:
            context.load_cert_chain(config.client_cert_file, config.client_key_file)
    except (OSError, ssl.SSLError) as error:
        names = ", ".join(str(path) for path in files if path is not None)
        raise ConfigError(
            f"TLS for {address}: cannot use {names}: {error}",
            hint="each must be a readable PEM file, the key that of the certificate",
        ) from error
    context.sslsocket_class = _TidySocket
    return Secrets(password, context)


class _TidySocket(ssl.SSLSocket):
    """Closes itself when the handshake fails; paho forgets it open."""

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002  # inherited
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


def _read_password(path: Path) -> str:
    try:
        text = read_text(path, MAX_PASSWORD_BYTES).rstrip("\r\n")
        mode = path.stat().st_mode
    except (OSError, UnicodeDecodeError) as error:
        # Not in the error's own words, which show bytes of the password.
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(
            f"password_file {path} cannot be read: {reason}",
            hint=f"put the broker's password into it, then: chmod 600 {path}",
        ) from None
    # systemd shows its credentials as 0440 because of the access list that lets the service in.
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    is_credential = credentials is not None and path.is_relative_to(credentials)
    if mode & 0o077 and not is_credential:
        raise ConfigError(
            f"password_file {path} is open to other users (mode {mode & 0o777:04o})",
            hint=f"run: chmod 600 {path}",
        )
    if not text:
        raise ConfigError(f"password_file {path} is empty", hint="write the password into it")
    return text
