"""What whoever saved tensors put before their names."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

_Tensor = TypeVar("_Tensor")

_WRAPPER = "module."


def unwrapped(tensors: Mapping[str, _Tensor]) -> dict[str, _Tensor]:
    """By the model's own names, where it was saved inside a DistributedDataParallel."""
    if not all(name.startswith(_WRAPPER) for name in tensors):
        return dict(tensors)
    return {name.removeprefix(_WRAPPER): tensor for name, tensor in tensors.items()}
