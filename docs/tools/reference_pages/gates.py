"""The checks of the gates: one page for all of them, and one for each."""

from collections.abc import Iterator

from reference_pages.markdown import heading, table
from voxgate_gates import ALL_CHECKS, Check

__all__ = ["check_page", "checks"]


def checks() -> Iterator[str]:
    """Every check there is, one line each."""
    yield from heading("Checks")
    yield "What the [gates](../gates.md) prove. Reports point to the page of each check."
    for gate in dict.fromkeys(check.gate for check in ALL_CHECKS):
        yield ""
        yield f"## {gate.capitalize()}"
        yield ""
        own = (check for check in ALL_CHECKS if check.gate == gate)
        rows = ((f"[`{check.id}`](../gates/{check.id}.md)", check.promise, str(check.severity)) for check in own)
        yield from table(("check", "promise", "severity"), rows)


def check_page(check: Check) -> Iterator[str]:
    """One check on a page of its own."""
    yield from heading(f"{check.id}")
    yield check.promise
    yield ""
    yield from table(
        ("", ""),
        (
            ("condition", f"`{check.condition}`"),
            ("severity", str(check.severity)),
            ("safe on production", "yes" if check.safe_on_production else "no"),
            ("needs", ", ".join(sorted(check.needs)) or "nothing"),
            ("may take", f"{check.seconds:g} s"),
        ),
    )
    yield ""
    yield f"If it falls short: {check.advice}"
    yield ""
    yield "Run it alone:"
    yield ""
    yield "```console"
    yield f"$ voxgate gates --only {check.id}"
    yield "```"
