import importlib.util
import sys
from types import ModuleType
from xml.etree import ElementTree

import click
import pytest

from tests.gateway.rig import BEARER, served
from tests.workspace.layout import ROOT
from voxgate_core import ERRORS
from voxgate_gates import ALL_CHECKS
from voxgate_gates.commands import gates
from voxgate_realtime import PATHS, TRANSITIONS, State, Trigger, voice_events

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
    assert len(shown) > 20
    assert [each for each in sorted(shown) if f"| `{each[0]}` | `{each[1]}` |" not in text] == []
    assert all(f"| `{path}` |" in text for path in PATHS)


def test_every_close_code_has_a_section_and_every_error_leads_to_its_own() -> None:
    text, errors = page("close-codes.md"), page("errors.md")
    sections = {int(line.split()[1].rstrip(":")) for line in text.splitlines() if line.startswith("## ")}
    assert sections >= {kind.close_code for kind in ERRORS.values()} | {1000}
    for kind in ERRORS.values():
        assert f"| `{kind.code}` |" in text.partition(f"## {kind.close_code}: ")[2].partition("\n## ")[0]
        assert f"(close-codes.md#{kind.close_code}-" in errors


def test_every_command_and_option_is_on_the_page() -> None:
    text = page("commands.md")
    commands = ("serve", "gates", "gates-selftest", "uptime watch", "retention run", "data erase", "fanout targets add")
    assert [name for name in commands if f"## voxgate {name}\n" not in text] == []
    own = text.partition("## voxgate gates\n")[2].partition("\n## ")[0]
    options = [each for each in gates.params if isinstance(each, click.Option)]
    assert [each.opts[0] for each in options if each.opts[0] not in own] == []


def test_the_diagram_shows_every_state_and_every_trigger_of_the_table() -> None:
    svg = ElementTree.parse(DOCS / "images" / "session-states.svg")
    words = [str(text.text) for text in svg.iter("{http://www.w3.org/2000/svg}text")]
    assert sorted(words[: len(State)]) == sorted(State)
    assert set(words[len(State) :]) == set(Trigger)
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
    assert [name for name in sorted(types) if f"### {name}\n" not in text] == []
