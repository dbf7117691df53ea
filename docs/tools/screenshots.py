"""Takes the pictures of the documentation anew: ``python docs/tools/screenshots.py``, after ``nox -s gates``.

Needs Chromium on the PATH. Pictures are committed, and small.
"""

import shutil
import sys
from pathlib import Path
from typing import Final

from playwright.sync_api import sync_playwright

ROOT: Final = Path(__file__).resolve().parents[2]
REPORT: Final = ROOT / "build" / "gates" / "report.html"
PICTURE: Final = ROOT / "docs" / "images" / "gate-report.png"
WIDTH, HEIGHT = 1000, 720


def main() -> int:
    browser_path = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser_path is None or not REPORT.is_file():
        print(f"needs chromium, and {REPORT.relative_to(ROOT)} of a run of the gates", file=sys.stderr)
        return 2
    PICTURE.parent.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.goto(REPORT.as_uri())
        page.locator("details").first.evaluate("details => details.open = true")
        page.screenshot(path=PICTURE)
        browser.close()
    print(f"{PICTURE.relative_to(ROOT)}: {PICTURE.stat().st_size // 1024} KiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
