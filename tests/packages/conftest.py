"""What these tests share, made once: the packages, and an environment without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.packages.installation import Installed, install, install_light
from tests.packages.making import make

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where everything is built and installed; the blank is meant."""
    return tmp_path_factory.mktemp("a home")


@pytest.fixture(scope="session")
def packages(home: Path) -> tuple[Path, Path]:
    """The source distribution and the wheel."""
    return make(home / "packages")


@pytest.fixture(scope="session")
def installed(home: Path, packages: tuple[Path, Path]) -> Installed:
    """The wheel with what it asks for."""
    source, wheel = packages
    return Installed(source, wheel, install(wheel, home), home)


@pytest.fixture(scope="session")
def light(home: Path, packages: tuple[Path, Path]) -> Installed:
    """The wheel with requirements-light.txt, by the documented command."""
    source, wheel = packages
    return Installed(source, wheel, install_light(wheel, home), home)
