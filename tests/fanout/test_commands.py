"""`voxgate fanout` against a gateway that really answers: what it prints, and what it exits with."""

from collections.abc import AsyncIterator
from pathlib import Path

import click
import pytest
import pytest_asyncio
from click.testing import CliRunner

from tests.fanout.serving import URL, Desk, at_a_desk, run
from tests.fanout.stores import unavailable
from voxgate_fanout.commands import _Group, fanout
from voxgate_fanout.outcome import Outcome, OutcomeKind, failed
from voxgate_fanout.signing import new_secret, secret_key


@pytest_asyncio.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with at_a_desk(tmp_path) as desk:
        yield desk


async def test_an_added_target_is_told_with_its_secret_once(desk: Desk) -> None:
    told = await desk.add()
    assert (told["name"], told["url"], told["events"]) == ("billing", URL, ["*"])
    target = desk.site.fanout.registry.named("billing")
    assert told["id"] == target.id
    assert told["signingSecret"] == target.secrets[0].value
    assert (target.timeout, target.rate, target.concurrency, target.order_by) == (15.0, None, 8, None)
    assert told["signingSecret"] not in str(await desk.json("targets", "list"))


async def test_people_see_the_secret_of_an_added_target_once(desk: Desk) -> None:
    result = await desk.run("targets", "add", "--name", "billing", "--url", URL)
    assert result.exit_code == 0
    assert result.stdout.startswith("added billing; its secret, shown this once: whsec_")
    assert result.stdout.count("\n") == 1


async def test_everything_about_a_target_can_be_given(desk: Desk) -> None:
    await desk.add(
        "billing", "--events", "order.*", "--events", "voice.turn.completed", "--timeout", "20", "--rate", "2.5",
        "--concurrency", "4", "--ordered",
    )  # fmt: skip
    target = desk.site.fanout.registry.named("billing")
    assert target.events == ("order.*", "voice.turn.completed")
    assert (target.timeout, target.rate, target.concurrency, target.order_by) == (20.0, 2.5, 4, "subject")
    await desk.add("crm", "--order-by", "/sessionId")
    assert desk.site.fanout.registry.named("crm").order_by == "/sessionId"


async def test_a_secret_that_is_given_is_used_and_not_shown(desk: Desk) -> None:
    secrets = [new_secret(), new_secret()]
    told = [
        await desk.add("billing", "--secret", secrets[0]),
        await desk.json("targets", "add", "--name", "crm", "--url", URL, "--secret-env", "MINE", MINE=secrets[1]),
    ]
    for name, secret, answer in zip(("billing", "crm"), secrets, told, strict=True):
        assert desk.site.fanout.registry.named(name).secrets[0].value == secret
        assert "signingSecret" not in answer
        assert secret not in str(answer)
    shown = await desk.run("targets", "add", "--name", "third", "--url", URL, "--secret", secrets[0])
    assert shown.stdout == "added third\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--secret-env", "UNSET"), "UNSET is not set"),
        (("--secret", "whsec_x", "--secret-env", "PATH"), "one of --secret and --secret-env"),
        (("--ordered", "--order-by", "type"), "one of --ordered and --order-by"),
        (("--timeout", "nan"), "must be a number"),
        (("--timeout", "inf"), "must be a number"),
        (("--rate", "-inf"), "must be a number"),
        (("--rate", "fast"), "not a valid float"),
        (("--concurrency", "1.5"), "not a valid integer"),
    ],
)
async def test_options_that_make_no_sense_exit_2_and_ask_nobody(desk: Desk, arguments: list[str], said: str) -> None:
    result = await desk.run("targets", "add", "--name", "billing", "--url", URL, *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr
    assert desk.server.requests == []


@pytest.mark.parametrize("as_json", [(), ("--json",)])
async def test_a_target_with_faults_exits_1_and_says_each(desk: Desk, as_json: tuple[str, ...]) -> None:
    bad = ("--secret", "whsec_c2hvcnQ=", "--timeout", "99", "--concurrency", "0")
    result = await desk.run("targets", "add", "--name", "billing", "--url", "ftp://x", *bad, *as_json)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("refused: the target is not valid: url must begin with")
    assert result.stderr.count(";") == 3
    assert "c2hvcnQ" not in result.stderr


async def test_targets_are_listed_for_people(desk: Desk) -> None:
    await desk.add("billing", "--events", "order.*", "--events", "a.b")
    await desk.run("targets", "disable", "php", "--reason", "maintenance")
    result = await desk.run("targets", "list")
    assert result.exit_code == 0
    rows = [line.split("  ") for line in result.stdout.splitlines()]
    assert [[cell.strip() for cell in row if cell] for row in rows] == [
        ["name", "url", "events", "managed by", "state"],
        ["billing", URL, "order.*,a.b", "api", "closed"],
        ["php", URL, "*", "file", "maintenance"],
        ["stub", "https://php.example/hooks", "*", "stub", "closed"],
    ]


@pytest.mark.parametrize("name", [("billing",), ("--name", "billing")])
async def test_a_target_is_named_by_argument_or_option(desk: Desk, name: tuple[str, ...]) -> None:
    added = await desk.add()
    assert (await desk.json("targets", "disable", *name, "--reason", "later"))["disabled"] == "later"
    assert (await desk.json("targets", "disable", *name))["disabled"] == "later"
    assert (await desk.json("targets", "enable", *name))["disabled"] is None
    rotated = await desk.json("targets", "rotate-secret", *name)
    assert secret_key(rotated["signingSecret"])
    assert rotated["signingSecret"] != added["signingSecret"]
    assert (await desk.json("targets", "test", *name))["outcome"] == "delivered"
    assert await desk.json("targets", "remove", *name) == {"removed": "billing", "id": added["id"]}


async def test_people_are_told_in_a_line_what_was_done(desk: Desk) -> None:
    await desk.add()
    expected = {
        "disable": "disabled billing: an operator disabled it\n",
        "enable": "enabled billing\n",
        "test": "delivered in 0.01 s: HTTP 200\n",
        "remove": "removed billing\n",
    }
    rotated = await desk.run("targets", "rotate-secret", "billing")
    assert rotated.stdout.startswith("the new secret, shown this once: whsec_")
    for verb, said in expected.items():
        result = await desk.run("targets", verb, "billing")
        assert (result.exit_code, result.stdout, result.stderr) == (0, said, "")


VERBS = ("disable", "enable", "remove", "test", "rotate-secret")
HOSTILE_NAMES = (
    "../replay", "..", ".", "a/b", "php/disable", "php%2Fdisable", "", "PHP", "php?x", "php#", "\udcff", "x" * 49
)  # fmt: skip


@pytest.mark.parametrize("verb", VERBS)
async def test_a_hostile_name_exits_2_and_reaches_nobody(desk: Desk, verb: str) -> None:
    for name in HOSTILE_NAMES:
        for arguments in ((name,), ("--name", name)):
            result = await desk.run("targets", verb, "--json", *arguments)
            assert (result.exit_code, result.stdout) == (2, "")
            assert "1 to 48 of a-z" in result.stderr
    assert desk.server.requests == []


@pytest.mark.parametrize("names", [(), ("php", "--name", "php"), ("php", "--name", "stub"), ("php", "stub")])
async def test_one_target_is_named(desk: Desk, names: tuple[str, ...]) -> None:
    result = await desk.run("targets", "enable", *names)
    assert (result.exit_code, result.stdout, desk.server.requests) == (2, "", [])


@pytest.mark.parametrize("verb", VERBS)
async def test_a_target_that_is_not_there_exits_1(desk: Desk, verb: str) -> None:
    result = await desk.run("targets", verb, "nobody", "--json")
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", "refused: there is no target 'nobody'\n")


async def test_what_is_managed_elsewhere_exits_1_and_says_where(desk: Desk) -> None:
    for verb in ("remove", "rotate-secret"):
        result = await desk.run("targets", verb, "php")
        assert result.exit_code == 1
        assert "file" in result.stderr


@pytest.mark.parametrize(
    "outcome",
    [failed("no answer", 15.0), Outcome(OutcomeKind.GONE, 410, "HTTP 410", None, 1.0)],
    ids=["unanswered", "gone"],
)
async def test_a_test_event_that_is_not_taken_exits_1_and_says_why(desk: Desk, outcome: Outcome) -> None:
    await desk.add()
    desk.site.sender.always[URL] = outcome
    told = await desk.json("targets", "test", "billing", status=1)
    assert told == {
        "outcome": outcome.kind.value, "status": outcome.status, "reason": outcome.reason, "seconds": outcome.seconds
    }  # fmt: skip
    result = await desk.run("targets", "test", "billing")
    assert (result.exit_code, outcome.reason in result.stdout) == (1, True)


async def test_a_store_that_is_down_exits_1_and_says_to_try_again(desk: Desk) -> None:
    desk.site.link.before = unavailable
    result = await desk.run("targets", "add", "--name", "billing", "--url", URL, "--json")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "try again" in result.stderr


def commands(group: click.Group, *path: str) -> dict[tuple[str, ...], click.Command]:
    found: dict[tuple[str, ...], click.Command] = {}
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            found |= commands(command, *path, name)
        else:
            found[*path, name] = command
    return found


async def test_every_command_has_json_and_a_help_that_says_what_its_options_do() -> None:
    found = commands(fanout)
    contract = {
        *(("targets", name) for name in ("add", "list", "disable", "test", "rotate-secret")),
        ("dead", "list"),
        ("replay",),
    }
    assert found.keys() == contract | {("targets", "enable"), ("targets", "remove")}
    for path, command in found.items():
        options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
        assert any("--json" in option.opts for option in options)
        assert all(option.help for option in options), path
        shown = await run(*path, "--help")
        assert (shown.exit_code, shown.stderr) == (0, "")
        assert len(command.help or "") > 20


async def test_the_help_says_how_to_keep_a_secret_out_of_sight_and_what_the_exit_codes_mean() -> None:
    assert "prefer --secret-env" in " ".join((await run("targets", "add", "--help")).stdout.split()).replace("- ", "-")
    assert "Exit 0 done, 1 refused, 2" in (await run("--help")).stdout


async def test_without_a_gateway_commands_exit_2_and_say_what_to_do(tmp_path: Path) -> None:
    for arguments in (("targets", "list"), ("dead", "list", "--json"), ("replay", "--id", "evt_1", "--json")):
        result = await run("--data-dir", str(tmp_path), *arguments)
        assert (result.exit_code, result.stdout) == (2, "")
        assert "voxgate serve" in result.stderr


async def test_a_gateway_that_has_ended_exits_2_and_its_file_is_named(desk: Desk) -> None:
    async with at_a_desk(desk.folder):
        pass
    result = await desk.run("targets", "list", "--json")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "control.json may be left from one that has ended" in result.stderr


async def test_a_gateway_elsewhere_is_asked_with_a_key_of_the_environment(desk: Desk, tmp_path: Path) -> None:
    (desk.folder / "control.json").unlink()
    url = ("--url", desk.server.url)
    assert (await run(*url, "targets", "list", VOXGATE_KEY="ops")).exit_code == 0
    assert (await run("targets", "list", VOXGATE_KEY="ops", VOXGATE_URL=desk.server.url)).exit_code == 0
    assert (await run(*url, "--key-env", "OTHER", "targets", "list", OTHER="ops", VOXGATE_KEY="x")).exit_code == 0
    refused = await run(*url, "targets", "list", VOXGATE_KEY="backend")
    assert (refused.exit_code, "operator key" in refused.stderr) == (1, True)
    wrong = await run(*url, "targets", "list", VOXGATE_KEY="vk_guessed")
    assert (wrong.exit_code, "VOXGATE_KEY" in wrong.stderr, "vk_guessed" in wrong.output) == (1, True, False)
    missing = await run(*url, "targets", "list")
    assert (missing.exit_code, "VOXGATE_KEY" in missing.stderr) == (2, True)


async def test_a_proxy_of_the_environment_is_not_asked_for_a_gateway_on_this_machine(desk: Desk) -> None:
    nowhere = "http://127.0.0.1:9"
    assert await desk.json("targets", "list", HTTP_PROXY=nowhere, http_proxy=nowhere, ALL_PROXY=nowhere, NO_PROXY=None)


def test_what_answers_there_may_be_no_gateway_and_is_told_so() -> None:
    group = _Group("any")

    @group.command()
    def odd() -> None:
        raise KeyError("targets")

    ran = CliRunner().invoke(group, ["odd"])
    assert (ran.exit_code, "not a gateway with fan-out" in ran.output) == (2, True)
