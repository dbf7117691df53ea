"""Every route, with what a gateway was seen to do there."""

from collections.abc import Iterator
from typing import Final

from reference_pages.asking import Found, ask, query_names
from reference_pages.markdown import heading, table
from voxgate_realtime import PATHS, Dialect

__all__ = ["routes"]

SUBJECTS: Final = {
    "tokens": "Tokens",
    "fan-out": "Fan-out",
    "conversations": "Conversations",
    "endpoints": "The seven endpoints",
}
"""The tags of the OpenAPI document. What has none is about the process itself."""

PAGES: Final = {
    "Tokens": "More in [Security](../SECURITY.md).",
    "Fan-out": "More in [Fan-out](../fanout.md). The stub's two routes are there while the local stub takes events.",
    "Conversations": "More in [Conversations](../conversations.md). A user sees their own, an operator everybody's.",
    "The seven endpoints": "More in [PHP](../php.md). The key is wanted where a PHP backend answers. The local stub has"
    " nothing but fixtures, and answers anybody in dev and preview, and in prod a key alone.",
    "The process itself": "More in [Observability](../OBSERVABILITY.md).",
}

DIALECTS: Final = {
    Dialect.NATIVE: "begins with `auth_success`; takes a credential as the first message too",
    Dialect.OPENAI: "OpenAI's, to the letter",
}

HEADER: Final = ("route", "what it does", "credential", "answers")


def routes() -> Iterator[str]:
    """A table for each subject, and one for the WebSockets."""
    yield from heading("Routes")
    yield "This page was written by asking a gateway. A running one serves the same list at `/openapi.json`."
    yield ""
    yield "- **credential**: the least that opens the route, as `Authorization: Bearer`. A key is an API key of either role."
    yield "  Where users sign in with OpenID Connect, their own access token gets them tokens and their conversations."
    yield "- **answers**: the status of success, then those of the refusals that were seen: without a key, with the wrong role,"
    yield "  and for paths, queries and bodies that don't fit. Not tried were a page from elsewhere (403), another method (405),"
    yield "  a conflict (409), a full quota (429) and a part that is down (503). [Errors](errors.md) has them all."
    found = ask()
    rows: dict[str, list[tuple[str, ...]]] = {subject: [] for subject in PAGES}
    for (method, path), route in found.items():
        if path not in PATHS:
            subject = SUBJECTS.get(next(iter(route.operation.get("tags", [])), ""), "The process itself")
            rows[subject].append(_row(method, path, route))
    for subject, own in rows.items():
        yield ""
        yield f"## {subject}"
        yield ""
        yield PAGES[subject]
        yield ""
        yield from table(HEADER, own)
    yield ""
    yield "## WebSockets"
    yield ""
    yield "They want a session token, and none in the query: [Realtime](../realtime.md#credentials) says where it goes. What they"
    yield "close with is in [Close codes](close-codes.md). A GET without an upgrade is answered too."
    yield ""
    sockets = (
        (f"`{path}`", DIALECTS[dialect], ", ".join(_refusals(found["GET", path]))) for path, dialect in PATHS.items()
    )
    yield from table(("path", "dialect", "without an upgrade"), sockets)


def _row(method: str, path: str, route: Found) -> tuple[str, ...]:
    what = str(route.operation["summary"])
    if names := query_names(method, path, route.operation):
        what += f". Query: {', '.join(f'`{name}`' for name in names)}"
    succeeds = route.answers or {int(status) for status in route.operation["responses"] if status.startswith("2")}
    answers = [f"**{status}**" for status in sorted(succeeds)]
    return f"`{method}` {_code(path)}", what, route.wants, ", ".join([*answers, *_refusals(route)])


def _code(path: str) -> str:
    """A path that breaks between its parts where the screen is narrow."""
    return f"<code>/{path[1:].replace('/', '/<wbr>')}</code>"


def _refusals(route: Found) -> list[str]:
    return [str(status) for status in sorted(set(route.refusals.values()))]
