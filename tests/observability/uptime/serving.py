"""A health route on loopback that answers as it is told, over HTTP or TLS."""

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = ["PARKED", "WELL", "Site", "running_site"]

WELL = json.dumps({"success": True, "traceId": "4bf92f3577b34da6a3ce929d0e0e4736", "status": "ok"}).encode()
PARKED = b"<html><body>This domain may be for sale.</body></html>"


class Site(ThreadingHTTPServer):
    """``answers`` are taken one after the other, the last one again and again; ``asked`` holds what was posted."""

    daemon_threads = True
    answers: list[tuple[int, bytes]]
    asked: list[tuple[dict[str, str], bytes]]

    @property
    def url(self) -> str:
        scheme = "https" if isinstance(self.socket, ssl.SSLSocket) else "http"
        return f"{scheme}://127.0.0.1:{self.server_address[1]}/api/health"


class _Handler(BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        answers = self.server.answers
        status, body = answers.pop(0) if len(answers) > 1 else answers[0]
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append(({name.lower(): value for name, value in self.headers.items()}, body))
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:
        return None


@contextmanager
def running_site(*answers: tuple[int, bytes], context: ssl.SSLContext | None = None) -> Iterator[Site]:
    site = Site(("127.0.0.1", 0), _Handler)
    site.answers, site.asked = list(answers), []
    if context is not None:
        site.socket = context.wrap_socket(site.socket, server_side=True)
    thread = threading.Thread(target=site.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield site
    finally:
        site.shutdown()
        thread.join()
        site.server_close()
