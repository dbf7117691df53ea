"""PHP's built-in server on a port of its own, and the Python stub beside it, asked with the same bytes."""

import os
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

__all__ = ["PHP", "PUBLIC", "ROOT", "ROUTER", "PhpServer", "needs_php", "php_server"]

ROOT = Path(__file__).resolve().parents[2]
PUBLIC = ROOT / "php_shim" / "public"
ROUTER = ROOT / "php_shim" / "router.php"
PHP = shutil.which("php")

PATIENCE = 10.0
"""Seconds that the server may take to end before it is killed."""

needs_php = pytest.mark.skipif(
    PHP is None, reason="there is no php on this machine, and these tests run real PHP: apt-get install php-cli"
)

_started = re.compile(r":(\d+)\) started").search

TELLTALE = {"display_errors": "1", "html_errors": "1", "expose_php": "1", "log_errors": "1"}
"""The settings with which PHP tells the most: what it still does not tell is kept from callers by the shim."""


class PhpServer:
    """One running server. ``log`` is what it has written to stderr so far."""

    def __init__(self, process: "subprocess.Popen[str]", port: int, log: list[str]) -> None:
        self._process = process
        self.port = port
        self.log = log

    @property
    def pid(self) -> int:
        """Of the process, and of its group."""
        return self._process.pid

    @property
    def runs(self) -> bool:
        return self._process.poll() is None


@contextmanager
def php_server(
    docroot: Path = PUBLIC,
    *,
    router: Path | None = None,
    environ: Mapping[str, str] | None = None,
    ini: Mapping[str, str] | None = None,
) -> Iterator[PhpServer]:
    """Serve ``docroot`` in a process group of its own, which is ended with the context."""
    assert PHP is not None
    settings = [word for name, value in {**TELLTALE, **(ini or {})}.items() for word in ("-d", f"{name}={value}")]
    # The shell's own settings for the endpoints must not change what the tests see.
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("VOXGATE_", "PHP_"))}
    process = subprocess.Popen(
        [PHP, *settings, "-S", "127.0.0.1:0", "-t", str(docroot), *([] if router is None else [str(router)])],
        env={**clean, **(environ or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    assert process.stderr is not None
    log: list[str] = []
    try:
        port = 0
        for line in process.stderr:
            log.append(line)
            if found := _started(line):
                port = int(found[1])
                break
        assert port, f"php did not start: {''.join(log)}"
        reader = threading.Thread(target=log.extend, args=(process.stderr,), daemon=True)
        reader.start()
        yield PhpServer(process, port, log)
    finally:
        try:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        except ProcessLookupError:
            process.wait()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # workers, which outlive the first process
        reader.join(PATIENCE)
        process.stderr.close()
