# SPDX-License-Identifier: Apache-2.0
"""The sandbox's GitHub on a loopback port of its own.

Rules enforced here:
- it listens on 127.0.0.1 alone, on a port that the system chooses;
- it stops, and its socket closes, when the caller is done.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from .clock import http_date

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .github import GitHub


@contextmanager
def serve(github: GitHub) -> Iterator[str]:
    """Serve a GitHub while the context lasts; gives its address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Head and body in one packet: two cost 40 ms of delayed acknowledgement.
        wbufsize = -1

        def _answer(self) -> None:
            url = urlsplit(self.path)
            size = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(size)
            headers = dict(self.headers.items())
            status, extra, reply = github(
                self.command, url.path, url.query, headers, body
            )
            self.send_response_only(status)
            self.send_header("Date", http_date(github.clock.now()))
            for name, value in extra.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        do_GET = do_POST = do_PUT = do_PATCH = _answer  # noqa: N815 - as the library asks

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
