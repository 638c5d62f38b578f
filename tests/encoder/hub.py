"""A hub on the loopback interface: the few answers that a download needs, and its troubles."""

from __future__ import annotations

import hashlib
import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """What it holds, and how it behaves; a test may change both at any time."""

    repositories: dict[str, dict[str, bytes]]
    commit: str = COMMIT
    cut_after: int | None = None
    """Bytes of a file's body after which the connection is closed."""
    fails_with: int | None = None
    """Answers every GET with this status."""
    url: str = ""
    requests: list[tuple[str, str, str]] = field(default_factory=list)
    """Method, file and Range header of each."""


@contextmanager
def running(repositories: dict[str, dict[str, bytes]]) -> Iterator[Hub]:
    hub = Hub(repositories)

    class Handler(_Handler):
        pass

    Handler.hub = hub
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), name="hub", daemon=True)
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def log_message(self, *_: object) -> None:
        """Says nothing."""

    def _answer(self, *, with_body: bool) -> None:
        hub = self.hub
        match = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", self.path)
        assert match is not None, self.path
        repository, revision, name = match.groups()
        hub.requests.append((self.command, name, self.headers.get("Range", "")))
        if repository not in hub.repositories:
            return self._refuse(404, "RepoNotFound")
        if revision not in {"main", hub.commit}:
            return self._refuse(404, "RevisionNotFound")
        if name not in hub.repositories[repository]:
            return self._refuse(404, "EntryNotFound")
        if with_body and hub.fails_with is not None:
            return self._refuse(hub.fails_with, "")
        self._send(hub.repositories[repository][name], with_body=with_body)
        return None

    def _refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send(self, content: bytes, *, with_body: bool) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(asked[1]) if asked else 0
        self.send_response(206 if asked else 200)
        self.send_header("X-Repo-Commit", self.hub.commit)
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("Content-Length", str(len(content) - start))
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        if with_body:
            body = content[start:]
            cut = self.hub.cut_after
            self.wfile.write(body if cut is None else body[:cut])
            if cut is not None and cut < len(body):
                self.hub.cut_after, self.hub.fails_with = None, 503
            self.close_connection = True
