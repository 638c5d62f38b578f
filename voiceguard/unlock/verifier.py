"""The consumer's side: opens a request, and says whether a message answers it. Light.

Imports cryptography and nothing else that is large::

    from voiceguard.unlock.verifier import Verifier

    verifier = Verifier(public_key="9f3c...", action="front-door")
    nonce = verifier.begin()              # publish {"version":1,"nonce":nonce} as a request
    envelope = verifier.check(message)    # raises EnvelopeError unless it answers that request

A consumer needs no wall clock: how old an answer is follows from its own stopwatch, started when it
made the nonce, and from ``waited_ms``, the daemon's share of that time, which is signed.
"""

from __future__ import annotations

import hmac
import secrets
import time
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from voiceguard.errors import EnvelopeError
from voiceguard.unlock.envelope import NONCE_BYTES, Envelope, read_payload, split

if TYPE_CHECKING:
    from collections.abc import Callable

PUBLIC_KEY_BYTES = 32
MAX_REQUEST_MS = 60_000
"""A request is forgotten after this, whatever an envelope says."""
SLACK_MS = 50
"""Two quartz clocks differ by a few milliseconds over a minute."""


def elapsed_ms() -> int:
    """A clock that nobody sets and that counts suspends: CLOCK_BOOTTIME where there is one."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime_ns(clock) // 1_000_000


class Verifier:
    """One lock's memory: its open request, and the last envelope that it took.

    Args:
        public_key: The daemon's, 64 hexadecimal digits: ``voiceguard unlock keys`` prints it.
        action: What this lock does; envelopes for others are refused.
        node: The daemon's ``mqtt.node_id``; None: whoever has the key.
        last_sequence: Of the last envelope that was taken, where the consumer keeps it over
            restarts.
        now_ms: A clock that only rises.

    Raises:
        EnvelopeError: The public key is not one.
    """

    def __init__(
        self,
        public_key: str,
        action: str,
        *,
        node: str | None = None,
        last_sequence: int = -1,
        now_ms: Callable[[], int] = elapsed_ms,
    ) -> None:
        self.last_sequence = last_sequence
        self._key = read_public_key(public_key)
        self._action = action
        self._node = node
        self._now_ms = now_ms
        self._nonce: str | None = None
        self._began_ms = 0

    def begin(self) -> str:
        """Opens a request, in the place of any other.

        Returns:
            Its nonce: 32 random bytes as hexadecimal digits, to be sent at once.
        """
        self._began_ms = self._now_ms()
        self._nonce = secrets.token_hex(NONCE_BYTES)
        return self._nonce

    def cancel(self) -> None:
        """Closes the request: no envelope answers it any more."""
        self._nonce = None

    def check(self, message: bytes) -> Envelope:
        """Takes an envelope that answers the open request, once; the request is closed then.

        What is refused changes nothing: anybody can publish rubbish, and the request stays open.

        Args:
            message: A payload of MQTT as it came.

        Raises:
            EnvelopeError: It does not open anything; says why.
        """
        envelope = verify(message, self._key)
        if envelope.action != self._action:
            raise EnvelopeError(f"it is for the action {envelope.action!r}, not {self._action!r}")
        if self._node is not None and envelope.node != self._node:
            raise EnvelopeError(f"it is of the daemon {envelope.node!r}, not {self._node!r}")
        if self._nonce is None or not hmac.compare_digest(envelope.nonce, self._nonce):
            raise EnvelopeError("it answers no open request of ours")
        self._check_age(envelope)
        if envelope.sequence <= self.last_sequence:
            raise EnvelopeError(
                f"its sequence number {envelope.sequence} is not above {self.last_sequence}: is "
                "the daemon's state an old copy?"
            )
        self.last_sequence, self._nonce = envelope.sequence, None
        return envelope

    def _check_age(self, envelope: Envelope) -> None:
        """Its age is at most what passed here since the request, less the daemon's share."""
        passed_ms = self._now_ms() - self._began_ms
        if not 0 <= passed_ms <= MAX_REQUEST_MS:
            raise EnvelopeError("the request is older than a minute")
        if envelope.waited_ms > passed_ms + SLACK_MS:
            raise EnvelopeError("it says that it took longer than the request is open")
        if passed_ms > envelope.waited_ms + envelope.lifetime_ms:
            raise EnvelopeError(f"it has expired: {passed_ms - envelope.waited_ms} ms old")


def verify(message: bytes, key: Ed25519PublicKey) -> Envelope:
    """Signature and fields alone: whether it is *fresh* only who made the request can say.

    Raises:
        EnvelopeError: It was not signed with that key, or is no envelope.
    """
    signature, payload = split(message)
    try:
        key.verify(signature, payload)
    except InvalidSignature:
        raise EnvelopeError("the signature is not that of the daemon's key") from None
    return read_payload(payload)


def read_public_key(text: str) -> Ed25519PublicKey:
    """A public key as ``voiceguard unlock keys`` prints it.

    Raises:
        EnvelopeError: It is not 64 hexadecimal digits, or no key.
    """
    try:
        return Ed25519PublicKey.from_public_bytes(bytes.fromhex(text.strip()))
    except ValueError:
        raise EnvelopeError(
            f"a public key is {2 * PUBLIC_KEY_BYTES} hexadecimal digits",
            hint="`voiceguard unlock keys` prints it",
        ) from None
