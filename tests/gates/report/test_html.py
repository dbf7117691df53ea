import re
import shutil
from pathlib import Path

import pytest
from playwright.async_api import async_playwright

from tests.gates.samples import made_report, made_result
from voxgate_gates import Verdict
from voxgate_gates.report.html import SHOWN, report_html

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
HOSTILE = "</code><script>document.title='owned'</script><img src=http://evil.example/x onerror=alert(1)>\"'"


def test_what_a_reader_signs_is_there() -> None:
    page = report_html(
        made_report(
            made_result(Verdict.PASS), made_result(Verdict.FAIL, name="other"), made_result(Verdict.SKIP, name="third")
        )
    )
    for text in ("A promise is broken", "http://127.0.0.1:1", "0.2.0rc2", "2023-11-14T22:13:20Z", "1.5 s"):
        assert text in page
    for text in (
        "[STATUS] == 401",
        "got 200",
        "curl http://h/",
        "docs/gates/security.other",
        "Repair the sample.",
        "480 ms",
    ):
        assert text in page
    assert "Signed off" in page
    assert page.index("security.other") < page.index("security.sample"), "what fell short comes first"


@pytest.mark.parametrize(
    ("verdicts", "headline"),
    [
        ([Verdict.PASS], "Every promise held"),
        ([Verdict.PASS, Verdict.SKIP], "Partly judged: 1 skipped, the rest held"),
        ([Verdict.PASS, Verdict.ERROR], "Some of it could not be judged"),
        ([Verdict.SKIP], "Nothing was judged"),
    ],
)
def test_the_headline_promises_no_more_than_came(verdicts: list[Verdict], headline: str) -> None:
    results = [made_result(verdict, name=f"n{index}") for index, verdict in enumerate(verdicts)]
    assert f"<h1>{headline}</h1>" in report_html(made_report(*results))


def test_what_a_target_says_is_text_and_bounded() -> None:
    page = report_html(made_report(made_result(Verdict.FAIL, got=HOSTILE, text=HOSTILE + "x" * 10_000)))
    assert "<script" not in page
    assert "<img" not in page
    assert len(page) < 4 * SHOWN + 20_000


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: apt-get install chromium")
@pytest.mark.parametrize("width", [390, 1280])
async def test_in_a_browser_it_asks_nobody_runs_nothing_and_fits(tmp_path: Path, width: int) -> None:
    path = tmp_path / "report.html"
    results = [made_result(Verdict.FAIL, got=HOSTILE, text=HOSTILE), made_result(Verdict.PASS, name="other")]
    path.write_text(report_html(made_report(*results)), "utf-8")
    asked: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = await browser.new_page(viewport={"width": width, "height": 800})
        page.on("request", lambda request: asked.append(request.url))
        await page.goto(path.as_uri())
        assert await page.title() == "A promise is broken: http://127.0.0.1:1"
        assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        assert await page.locator("details[open]").count() == 1
        await browser.close()
    assert [url for url in asked if not url.startswith("file:")] == []


def test_the_style_asks_nobody_either() -> None:
    assert (
        re.findall(
            r"url\(|@import|https?:", report_html(made_report()).partition("</style>")[0].partition("<style>")[2]
        )
        == []
    )
