"""Encoders that give what their inner layers found, besides the embedding. Imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from voiceguard.encoder.card.program_config import ECAPA2_DIMS
from voiceguard.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voiceguard.types import Embedding, Samples


@runtime_checkable
class LayeredEncoder(Protocol):
    """ECAPA2, so far."""

    def features(self, samples: Samples, labels: Sequence[str]) -> dict[str, Embedding]:
        """Statistics of inner layers, see ``torchscript.Ecapa2Encoder``."""
        ...


def check_labels(labels: Sequence[str]) -> tuple[str, ...]:
    """The labels, if ECAPA2 has all of them.

    Raises:
        UsageError: One is unknown or there twice, or there is none.
    """
    for label in labels:
        if label not in ECAPA2_DIMS:
            raise UsageError(
                f"ECAPA2 has no features {label!r}; it has {', '.join(ECAPA2_DIMS)}",
                hint="Join several with |: --features 'gfe_1|pool|embedding'",
            )
    if not labels or len(set(labels)) != len(labels):
        raise UsageError(
            f"each label once, not {'|'.join(labels)!r}",
            hint="Join them with |: --features 'gfe_1|pool|embedding'",
        )
    return tuple(labels)
