"""The site as its readers get it: built strictly, every link arriving, and a browser that asks nobody else."""

import functools
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from tests.docs.pages import ROOT

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
LYCHEE = shutil.which("lychee", path=str(Path(sys.executable).parent))
BUILD_SECONDS = 60.0
"""Generous: on a quiet machine it takes eight."""

PAGES = (
    "",
    "quickstart/",
    "OPS_RUNBOOK/",
    "OBSERVABILITY/",
    "SECURITY/",
    "AUDIT_EXECUTIVE_SUMMARY/",
    "realtime/",
    "reference/api/gateway/",
    "reference/close-codes/",
    "reference/commands/",
    "reference/events/",
    "reference/metrics/",
    "reference/routes/",
    "reference/sessions/",
    "gates/",
)

pytest.importorskip("mkdocs", reason="mkdocs is not installed: nox -s site")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    began = time.monotonic()
    done = subprocess.run(
        words, cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert time.monotonic() - began < BUILD_SECONDS
    return folder


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        return None


@pytest.fixture(scope="module")
def url(site: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(site))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.mark.skipif(LYCHEE is None, reason="lychee is not installed: it is in the group test")
def test_every_link_and_fragment_arrives(site: Path) -> None:
    assert LYCHEE is not None
    words = [
        LYCHEE,
        "--offline",
        "--include-fragments",
        "--no-progress",
        "--index-files",
        "index.html",
        "--root-dir",
        str(site),
        "--exclude-path",
        "404.html",
    ]
    done = subprocess.run([*words, str(site)], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: apt-get install chromium")
@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")])
def test_viewing_asks_nobody_else_and_fits(url: str, width: int, scheme: str) -> None:
    asked: list[str] = []
    faults: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        for path in PAGES:
            page.goto(f"{url}/{path}")
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), (
                f"/{path} is wider than {width}"
            )
        browser.close()
    assert [address for address in asked if not address.startswith((url, "data:", "blob:"))] == []
    assert faults == []
