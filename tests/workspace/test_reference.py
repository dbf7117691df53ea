import importlib.util
import sys
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType
from xml.etree import ElementTree

import click
import httpx
import pytest

from tests.gateway.rig import BEARER, served
from tests.workspace.layout import ROOT
from voxgate_core import ERRORS
from voxgate_fanout import TARGET_DISABLED
from voxgate_fanout.service import TEST_EVENT
from voxgate_gates import ALL_CHECKS
from voxgate_gateway import build_cli
from voxgate_realtime import PATHS, TRANSITIONS, State, Trigger, client_code, voice_events

DOCS = ROOT / "docs"
SCRIPT = DOCS / "tools" / "reference.py"
ADVICE = "run python docs/tools/reference.py"


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_written_pages_are_the_ones_the_code_gives_today(reference: ModuleType) -> None:
    committed = {str(page.relative_to(DOCS)) for folder in reference.FOLDERS for page in (DOCS / folder).glob("*.md")}
    assert committed == set(reference.pages()), ADVICE


def test_every_written_page_says_what_the_code_says_today(reference: ModuleType) -> None:
    for path, text in reference.pages().items():
        assert (DOCS / path).read_text("utf-8") == text, f"docs/{path} is stale: {ADVICE}"


def test_every_page_a_report_points_to_is_there() -> None:
    for check in ALL_CHECKS:
        assert (ROOT / f"{check.docs}.md").is_file(), f"no page for {check.docs}: {ADVICE}"


def page(name: str) -> str:
    return (DOCS / "reference" / name).read_text("utf-8")


async def test_every_route_of_a_running_gateway_is_on_the_page() -> None:
    async with served() as gateway:
        paths = (await gateway.http.get("/openapi.json", headers=BEARER)).json()["paths"]
    text = page("routes.md")
    shown = {(method.upper(), path) for path, methods in paths.items() if path not in PATHS for method in methods}
    text = text.replace("<wbr>", "")
    assert len(shown) > 20
    assert [each for each in sorted(shown) if f"| `{each[0]}` <code>{each[1]}</code> |" not in text] == []
    assert all(f"| `{path}` |" in text for path in PATHS)


@pytest.mark.parametrize(
    ("route", "credential", "answers"),
    [
        ("GET /livez", "none", "**200**"),
        ("POST /api/realtime/token", "key", "**200**, 400, 401, 413, 415, 422"),
        ("POST /api/voice/fanout", "key", "**202**, 400, 401, 413, 415"),
        ("POST /api/voice/fanout/stub", "signature", "**200**, 401, 413"),
        ("POST /api/voice/fanout/targets", "operator's key", "**201**, 400, 401, 403, 413, 415, 422"),
        ("GET /api/health.php", "none", "**200**"),
        ("GET /api/marketing.php", "key", "**200**, 401, 422"),
    ],
)
def test_a_route_says_who_may_ask_and_what_it_answers(route: str, credential: str, answers: str) -> None:
    method, path = route.split()
    (row,) = (
        line
        for line in page("routes.md").replace("<wbr>", "").splitlines()
        if line.startswith(f"| `{method}` <code>{path}</code> |")
    )
    assert row.endswith(f" | {credential} | {answers} |")


def test_a_route_that_fails_when_it_is_asked_stops_the_writing(reference: ModuleType) -> None:
    found = sys.modules["reference_pages.asking"].Found({})
    body = {"error": {"code": "internal_error"}}
    request = httpx.Request("GET", "http://127.0.0.1/livez")
    with pytest.raises(RuntimeError, match="GET /livez failed"):
        found.note(httpx.Response(500, json=body, request=request))


def section(text: str, heading: str) -> str:
    return text.partition(f"## {heading}")[2].partition("\n## ")[0]


def test_what_a_model_server_closes_with_is_told_as_the_relay_treats_it() -> None:
    text = page("close-codes.md")
    passed = {code for code in range(1000, 1016) if f"The model server's own {code} is passed on." in text}
    failed = ERRORS["upstream_failed"].close_code
    assert passed == {code for code in range(1000, 1016) if client_code(code) == code} - {failed}
    assert "becomes this one, as `upstream_failed`." in section(text, f"{failed}: ")
    order = [int(line.split()[1].rstrip(":")) for line in text.splitlines() if line.startswith("## ")]
    assert order == sorted(order)


def test_every_close_code_has_a_section_and_every_error_leads_to_its_own() -> None:
    text, errors = page("close-codes.md"), page("errors.md")
    sections = {int(line.split()[1].rstrip(":")) for line in text.splitlines() if line.startswith("## ")}
    assert sections >= {kind.close_code for kind in ERRORS.values()} | {1000}
    for kind in ERRORS.values():
        assert f"| [`{kind.code}`](errors.md#{kind.code}) |" in section(text, f"{kind.close_code}: ")
        assert f'<a id="{kind.code}"></a>`{kind.code}`' in errors
        assert f"(close-codes.md#{kind.close_code}-" in errors


def walk(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            member = command.get_command(click.Context(command), name)
            assert member is not None
            yield from walk(member, f"{path} {name}")


def test_every_command_and_option_is_on_the_page() -> None:
    text = page("commands.md")
    found = dict(walk(build_cli(), "voxgate"))
    assert {"voxgate serve", "voxgate gates", "voxgate uptime watch", "voxgate fanout targets add"} <= set(found)
    for path, command in found.items():
        assert f"## {path}\n" in text
        own = section(text, f"{path}\n")
        for option in command.params:
            if isinstance(option, click.Option) and not option.hidden:
                assert option.opts[0] in own, f"{path} lacks {option.opts[0]}"


def test_a_choice_is_shown_without_what_markdown_needs_to_keep_it_in_its_cell() -> None:
    assert "<code>--profile [full&#124;readonly]</code>" in page("commands.md")
    assert chr(92) + "|" not in page("commands.md")


def test_the_diagram_shows_every_state_and_every_trigger_of_the_table() -> None:
    svg = ElementTree.parse(DOCS / "images" / "session-states.svg")
    words = [str(text.text) for text in svg.iter("{http://www.w3.org/2000/svg}text")]
    assert sorted(word for word in words if word in set(State)) == sorted(State)
    assert {word for word in words if word not in set(State)} == set(Trigger)
    told = svg.findtext("{http://www.w3.org/2000/svg}desc")
    assert told is not None
    for (state, trigger), after in TRANSITIONS.items():
        assert f"{state} to {after} on {trigger}" in told


def test_a_table_that_the_diagram_can_not_show_is_not_drawn_wrongly(
    reference: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = sys.modules[reference.diagram.__module__]
    monkeypatch.setattr(module, "TRANSITIONS", {**TRANSITIONS, (State.OPEN, Trigger.AUTHENTICATED): State.CONNECTING})
    with pytest.raises(module.NotDrawn):
        list(reference.diagram())


def test_every_event_that_the_relay_makes_is_shown(reference: ModuleType) -> None:
    text = page("events.md")
    types = {
        value for name, value in vars(voice_events).items() if isinstance(value, str) and value.startswith("voice.")
    }
    assert len(types) == 5
    types |= {TARGET_DISABLED, TEST_EVENT}
    assert [name for name in sorted(types) if f"### {name}\n" not in text] == []


def test_the_page_of_a_package_names_all_it_offers_and_no_more() -> None:
    for manifest in sorted((ROOT / "packages").glob("*/pyproject.toml")):
        name = manifest.parent.name
        lines = page(f"api/{name}.md").splitlines()
        shown = {line.removeprefix("        - ") for line in lines if line.startswith("        - ")}
        shown |= {line.rpartition(".")[2] for line in lines if line.startswith("::: ") and "." in line}
        assert shown == set(import_module(f"voxgate_{name}").__all__) - {"__version__"}, f"{name}: {ADVICE}"


def test_what_docstrings_name_in_sphinx_s_way_is_a_link_on_the_site(monkeypatch: pytest.MonkeyPatch) -> None:
    griffe = pytest.importorskip("griffe", reason="griffe is not installed: nox -s site")
    monkeypatch.syspath_prepend(str(DOCS / "tools"))
    roles = import_module("griffe_roles").Roles()
    loader = griffe.GriffeLoader(
        extensions=griffe.load_extensions(roles), search_paths=[str(ROOT / "packages" / "core" / "src")]
    )
    core = loader.load("voxgate_core")
    said = core["ports.CallerGate.admit"].docstring.value
    assert 'Raises <autoref optional identifier="voxgate_core.errors.VoxgateError"><code>VoxgateError</code>' in said
    assert not core["errors.ERRORS"].labels
