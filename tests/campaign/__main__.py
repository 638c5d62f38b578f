"""Runs the campaign: ``python -m tests.campaign``, or ``make campaign``.

Every module of this package that has ``CAMPAIGNS`` (see ``protocol``) is run for its share of the
time, one after the other, each in a process of its own. At the end one table of figures, and the
same as JSON beside it. Exits with 1 where something did not hold.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import pkgutil
import platform
import subprocess
import sys
import time
from datetime import UTC, datetime
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

import tests.campaign
from voiceguard.types import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.campaign.protocol import Campaign

SHARES = {"soak: *": 4.0, "broker: *": 2.0, "clock: *": 2.0, "state: kill*": 1.5, "wyoming: *": 0.5}
"""Of the time, where one is not enough: what waits for real time, or has few rounds in a minute."""
GRACE_S = 300.0
"""Beyond its time a campaign may finish a round, and close what it began."""


def campaigns() -> Iterator[tuple[str, str, Campaign]]:
    """Module, name and function of each."""
    package = tests.campaign
    for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if info.name.endswith("__main__"):
            continue
        module = importlib.import_module(info.name)
        for name, campaign in getattr(module, "CAMPAIGNS", {}).items():
            yield info.name, name, campaign


def run_all(names: list[tuple[str, str]], seconds: float, seed: int) -> list[dict[str, Any]]:
    """Each in its own process, for its share of what is left."""
    results = []
    end_s = time.monotonic() + seconds
    for number, (module, name) in enumerate(names):
        left = [_share(each) for _, each in names[number:]]
        share_s = max(1.0, (end_s - time.monotonic()) * left[0] / sum(left))
        print(f"{name}: {share_s:.0f} s", file=sys.stderr, flush=True)
        results.append(_run_apart(module, name, share_s, seed))
    return results


def _share(name: str) -> float:
    return next((share for pattern, share in SHARES.items() if fnmatch(name, pattern)), 1.0)


def _run_apart(module: str, name: str, seconds: float, seed: int) -> dict[str, Any]:
    began_s = time.monotonic()
    command = [sys.executable, "-m", "tests.campaign", "--one", module, name]
    try:
        finished = subprocess.run(
            [*command, "--seconds", str(seconds), "--seed", str(seed)],
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds + GRACE_S,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
    except subprocess.TimeoutExpired:
        outcome: dict[str, Any] = {"fault": f"it did not end {GRACE_S:.0f} s after its time"}
    else:
        last = finished.stdout.splitlines()[-1:]
        if finished.returncode == 0 and last:
            outcome = json.loads(last[0])
        else:
            said = finished.stderr.strip().splitlines()
            outcome = {
                "fault": (said[-1] if said else f"it died with {finished.returncode}")[:2000]
            }
    return {"name": name, "seed": seed, "took_s": round(time.monotonic() - began_s, 1), **outcome}


def _run_one(module: str, name: str, seconds: float, seed: int) -> int:
    """In this process; the result is the last line."""
    figures = importlib.import_module(module).CAMPAIGNS[name](seconds, seed)
    print(json.dumps({"figures": dict(figures)}))
    return 0


def _print(results: list[dict[str, Any]]) -> None:
    table = Table("campaign", "took", "figures", box=None, title_justify="left")
    for each in results:
        figures = ", ".join(f"{name} {value}" for name, value in each.get("figures", {}).items())
        shown = figures if "fault" not in each else f"DID NOT HOLD: {each['fault']}"
        table.add_row(each["name"], f"{each['took_s']:.0f} s", shown)
    Console(width=None if sys.stdout.isatty() else 200, highlight=False).print(table, markup=False)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.campaign", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="for all of them together")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="default: the clock's")
    parser.add_argument("--only", default="*", help='names, with wildcards: "state*"')
    parser.add_argument("--out", type=Path, default=Path("build/campaign.json"))
    parser.add_argument("--list", action="store_true", help="name them, and run none")
    parser.add_argument("--one", nargs=2, metavar=("MODULE", "NAME"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        module, name = asked.one
        return _run_one(module, name, asked.seconds, asked.seed)
    names = [(module, name) for module, name, _ in campaigns() if fnmatch(name, asked.only)]
    if asked.list:
        print("\n".join(name for _, name in names))
        return 0
    if not names:
        parser.error(f"no campaign is called {asked.only}; --list names them")
    results = run_all(names, asked.seconds, asked.seed)
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    about = {
        "voiceguard": VERSION,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": platform.machine(),
        "num_cpus": os.cpu_count(),
        "python": platform.python_version(),
        "seconds": asked.seconds,
        "seed": asked.seed,
    }
    asked.out.write_text(json.dumps({**about, "campaigns": results}, indent=2) + "\n")
    _print(results)
    print(f"seed {asked.seed}; the same as JSON: {asked.out}")
    return int(any("fault" in each for each in results))


if __name__ == "__main__":
    sys.exit(main())
