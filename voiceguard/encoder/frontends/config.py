"""What every front end's parameters have in common: how a card keeps them, and their version."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any, ClassVar, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voiceguard.encoder.frontends.base import FrontEnd


class FrontEndConfig(ABC):
    """Base of the frozen dataclasses that hold a front end's parameters."""

    __slots__ = ()

    TYPE: ClassVar[str]
    """What cards call this family of features."""

    @property
    @abstractmethod
    def version(self) -> str:
        """Names everything that the features depend on; part of the encoder's id."""

    @abstractmethod
    def build(self) -> FrontEnd:
        """The features of one recording, or of a stream's windows."""

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Reads what ``to_json`` wrote.

        Raises:
            ValueError: A parameter is missing, unknown or impossible, or the version is not what
                this voiceguard computes from these parameters.
            TypeError: A parameter is of the wrong kind.
        """
        given = {name: value for name, value in values.items() if name != "version"}
        expected = {entry.name for entry in fields(cls)}  # type: ignore[arg-type]
        if set(given) != expected:
            raise ValueError(f"features must be {sorted(expected)}, not {sorted(given)}")
        config = cls(**given)
        if values.get("version") != config.version:
            raise ValueError(
                f"features are version {values.get('version')!r}; this voiceguard computes "
                f"{config.version!r}"
            )
        return config

    def to_json(self) -> dict[str, Any]:
        """Plain values for a model's card."""
        return {**asdict(self), "version": self.version}  # type: ignore[call-overload]
