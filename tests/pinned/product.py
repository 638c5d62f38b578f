"""Runs voiceguard as a user does, and compares what it says with what was pinned.

Every command is a process of its own with a clean environment. Figures must agree to six
significant digits; everything else exactly. So that they do on any x86-64 processor, torch and its
libraries are told to compute as the oldest of them does: `PORTABLE`.
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.cli.forked import Forks

if TYPE_CHECKING:
    from collections.abc import Mapping

HERE = Path(__file__).parent
EXPECTED = HERE / "expected"
MODEL = HERE / "model" / "tiny.safetensors"
"""A small ECAPA-TDNN in voiceguard's own form, with card, cohort and calibration."""
STATE = HERE / "state"
"""A state directory as today's code wrote it; `update.py` tells what is in it."""

EXPORTED = HERE / "exported.voiceguard"
PASSPHRASE = "korrekte batterie heftklammer"

UPDATE_VARIABLE = "PINS"
"""Set to ``update``: what is found becomes what is expected. Set by `update.py`."""

PORTABLE = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "ATEN_CPU_CAPABILITY": "default",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "MKL_CBWR": "COMPATIBLE",
    "OPENBLAS_CORETYPE": "Nehalem",
    # Nothing makes ONNX Runtime add in one order on every processor; it is held to torch elsewhere.
    "VOICEGUARD_ENCODER__RUNTIME": "torch",
}
AS_SHIPPED = {"VOICEGUARD_ENCODER__RUNTIME": "auto"}
"""For what shows the settings."""

RELATIVE = 1e-6
_NEARLY_ZERO = 1e-9


def environment(state: Path, **more: str) -> dict[str, str]:
    """This process' variables without settings, with directories of the test's own.

    The extra silero counts as not installed: with it, takes are judged by its detector as well.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("VOICEGUARD_")}
    return {
        **kept,
        **PORTABLE,
        "PYTHONPATH": f"{HERE / 'without'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
        "VOICEGUARD_STATE_DIR": str(state),
        "XDG_CONFIG_HOME": str(state.parent / "config"),
        "XDG_CACHE_HOME": str(state.parent / "cache"),
        "COLUMNS": "100",
        "TERM": "dumb",
        "NO_COLOR": "1",
        **more,
    }


_FORKS = Forks(environment(Path()))


def voiceguard(
    *arguments: str | Path, state: Path, settings: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """``voiceguard ARGUMENTS`` with that state directory."""
    variables = environment(state, **(settings or {}))
    if _FORKS.fits(variables):
        return _FORKS.run([*map(str, arguments)], variables)
    return subprocess.run(
        [sys.executable, "-m", "voiceguard", *map(str, arguments)],
        capture_output=True,
        check=False,
        text=True,
        timeout=600,
        stdin=subprocess.DEVNULL,
        env=variables,
    )


def said(
    *arguments: str | Path, state: Path, code: int = 0, settings: Mapping[str, str] | None = None
) -> Any:  # noqa: ANN401
    """What the command printed with ``--json``: a list where it printed several lines."""
    done = voiceguard(*arguments, "--json", state=state, settings=settings)
    assert done.returncode == code, (arguments, done.stdout, done.stderr)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return lines[0] if len(lines) == 1 else lines


def copy_of_state(folder: Path) -> Path:
    """The pinned state directory, with the modes that it had: git keeps none of them."""
    state = folder / "state"
    shutil.copytree(STATE, state)
    for path in (state, *state.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)
    return state


def masked(value: Any, masks: Mapping[str, str]) -> Any:  # noqa: ANN401
    """The same JSON with the values of some keys replaced, at any depth."""
    if isinstance(value, dict):
        return {
            key: masks[key] if key in masks and inner is not None else masked(inner, masks)
            for key, inner in value.items()
        }
    return [masked(inner, masks) for inner in value] if isinstance(value, list) else value


def check(name: str, found: Any) -> None:  # noqa: ANN401
    """Compares with ``expected/<name>``: JSON with tolerance, text exactly."""
    path = EXPECTED / name
    is_text = path.suffix == ".txt"
    if os.environ.get(UPDATE_VARIABLE) == "update":
        path.parent.mkdir(parents=True, exist_ok=True)
        text = found if is_text else json.dumps(_short(found), indent=1, ensure_ascii=False) + "\n"
        path.write_text(text, encoding="utf-8")
    expected = path.read_text(encoding="utf-8")
    if is_text:
        assert found == expected, f"{path} says otherwise"
    else:
        faults = differences(json.loads(expected), json.loads(json.dumps(found)))
        assert not faults, f"{path} says otherwise:\n" + "\n".join(faults[:20])


def differences(expected: Any, found: Any, where: str = "") -> list[str]:  # noqa: ANN401
    """A line for each place where two JSON documents differ; key order counts."""
    if isinstance(expected, dict) and isinstance(found, dict):
        if list(expected) != list(found):
            return [f"{where or 'top'}: keys {list(found)} instead of {list(expected)}"]
        return [
            line for key in expected
            for line in differences(expected[key], found[key], f"{where}.{key}")
        ]  # fmt: skip
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        return [
            line
            for index, (one, other) in enumerate(zip(expected, found, strict=True))
            for line in differences(one, other, f"{where}[{index}]")
        ]
    if isinstance(expected, float) and isinstance(found, float):
        is_same = math.isclose(expected, found, rel_tol=RELATIVE, abs_tol=_NEARLY_ZERO)
    else:
        is_same = type(expected) is type(found) and expected == found
    return [] if is_same else [f"{where or 'top'}: {found!r} instead of {expected!r}"]


def nameless(value: Any) -> Any:  # noqa: ANN401
    """Without the name of the encoder shipped at the time: known only while it is shipped."""
    return json.loads(re.sub(r" \(ecapa-[^)]*\)", "", json.dumps(value)))


def plain(text: str) -> str:
    """Words only: without frames, colours, line breaks and runs of spaces."""
    return " ".join(re.sub(r"[─│╭╮╰╯]|\x1b\[[0-9;]*m", " ", text).split())


def _short(value: Any) -> Any:  # noqa: ANN401
    """Floats of eight significant digits: two more than are compared."""
    if isinstance(value, dict):
        return {key: _short(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_short(inner) for inner in value]
    return float(f"{value:.8g}") if isinstance(value, float) else value
