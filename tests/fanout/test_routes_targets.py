"""Operating targets over HTTP: what is shown, what is told once, and names and bodies that are hostile."""

import hashlib
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.fanout.operating import OPERATOR, POST, TARGETS, Site, data, refused
from tests.fanout.stores import NOW, Node, bare, filed, only, unavailable
from voxgate_fanout.outcome import Outcome, OutcomeKind, failed
from voxgate_fanout.routes import MAX_COMMAND
from voxgate_fanout.signing import new_secret, secret_key

HOSTILE_NAMES = [
    "..",
    ".",
    "a/b",
    "../targets",
    "x/disable",
    "a%2Fb",
    "NUL\0",
    "é",
    "*",
    "A",
    "a" * 65,
    "tgt_1",
    "%",
    "?",
    "#",
]
VERBS = ["disable", "enable", "test", "rotate-secret"]


async def test_a_target_is_added_with_everything_and_shown_without_its_secret() -> None:
    site = await Site().loaded()
    body = {
        "name": "billing", "url": "https://billing.example/hooks", "events": ["order.*", "voice.turn.completed"],
        "timeout": 20, "rate": 2.5, "concurrency": 4, "orderBy": "/sessionId",
    }  # fmt: skip
    told = data(await site.ask("POST", TARGETS, body), 201)
    secret = told.pop("signingSecret")
    assert secret_key(secret)
    assert told == {
        **body, "id": told["id"], "managedBy": "api", "createdAt": NOW, "disabled": None, "disabledAt": None,
        "failingSince": None, "secret": {"fingerprint": hashlib.sha256(secret.encode()).hexdigest()[:8], "count": 1},
    }  # fmt: skip
    (row, stub) = data(await site.ask("GET", TARGETS))["targets"]
    assert row == {**told, "breaker": "closed", "waiting": 0}
    assert stub["name"] == "stub"


async def test_the_least_that_makes_a_target_is_a_name_and_a_url() -> None:
    told = await (await Site().loaded()).add("billing")
    assert (told["events"], told["timeout"], told["concurrency"], told["rate"], told["orderBy"]) == (
        ["*"],
        15,
        8,
        None,
        None,
    )


async def test_a_secret_that_is_brought_along_is_not_told() -> None:
    site = await Site().loaded()
    secret = new_secret()
    assert secret not in str(await site.add("billing", secret=secret))
    assert site.fanout.registry.named("billing").secrets[0].value == secret


async def test_what_tells_a_secret_is_never_stored_on_the_way() -> None:
    site = await Site().loaded()
    added = await site.ask("POST", TARGETS, {"name": "billing", "url": "https://billing.example"})
    rotated = await site.ask("POST", f"{TARGETS}/billing/rotate-secret")
    assert [answer.headers["cache-control"] for answer in (added, rotated)] == ["no-store", "no-store"]


async def test_no_answer_but_the_first_tells_a_secret() -> None:
    site = await Site([bare("php")]).loaded()
    told = [(await site.add("billing"))["signingSecret"]]
    told.append(data(await site.ask("POST", f"{TARGETS}/billing/rotate-secret"))["signingSecret"])
    assert told[0] != told[1]
    site.sender.always["https://billing.example/hooks"] = failed("HTTP 500", 0.1)
    texts = [(await site.ask("POST", f"{TARGETS}/billing/{verb}")).text for verb in ("disable", "enable", "test")]
    texts.append((await site.ask("GET", TARGETS)).text)
    texts.append((await site.ask("POST", TARGETS, {"name": "billing", "url": "https://x.example"})).text)
    texts.append((await site.ask("DELETE", f"{TARGETS}/billing")).text)
    secrets = [*told, *(secret.value for target in site.fanout.registry for secret in target.secrets)]
    assert len(secrets) == 4
    assert not any(secret in text for secret in secrets for text in texts)


async def test_after_a_rotation_both_secrets_sign_what_is_delivered() -> None:
    site = await Site().loaded()
    await site.add("billing")
    shown = data(await site.ask("POST", f"{TARGETS}/billing/rotate-secret"))
    assert shown["secret"]["count"] == 2
    data(await site.ask("POST", f"{TARGETS}/billing/test"))
    (delivery,) = site.sender.sent
    assert len(delivery.headers["webhook-signature"].split(" ")) == 2


async def test_a_target_is_disabled_for_a_reason_and_enabled() -> None:
    site = await Site([filed("php")]).loaded()
    disabled = data(await site.ask("POST", f"{TARGETS}/php/disable", {"reason": "maintenance until nine"}))
    assert (disabled["disabled"], disabled["disabledAt"]) == ("maintenance until nine", NOW)
    posted = await site.ask("POST", POST, {"type": "a.b", "data": {}})
    assert data(posted, 202)["targets"] == ["stub"]
    enabled = data(await site.ask("POST", f"{TARGETS}/php/enable", {}))
    assert enabled["disabled"] is None
    again = data(await site.ask("POST", f"{TARGETS}/php/disable"))
    assert again["disabled"] == "an operator disabled it"


async def test_a_target_is_removed_and_so_is_what_waits_for_it() -> None:
    site = await Site().loaded()
    target = await site.add("billing")
    await site.queue.open_lane(f"t-{target['id']}", in_hand=1, lease=30)
    assert data(await site.ask("DELETE", f"{TARGETS}/billing")) == {"removed": "billing", "id": target["id"]}
    assert await site.queue.lanes() == frozenset()
    refused(await site.ask("DELETE", f"{TARGETS}/billing"), 404, "not_found")
    await site.add("billing")


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        (Outcome(OutcomeKind.DELIVERED, 204, "HTTP 204", None, 0.0123), ("delivered", 204, 0.012)),
        (Outcome(OutcomeKind.RETRY, 500, "HTTP 500", 5.0, 1.0), ("retry", 500, 1.0)),
        (Outcome(OutcomeKind.GONE, 410, "HTTP 410", None, 1.0), ("gone", 410, 1.0)),
        (failed("no answer", 15.0), ("retry", None, 15.0)),
    ],
)
async def test_a_test_event_is_delivered_now_and_its_outcome_told(outcome: Outcome, told: tuple[Any, ...]) -> None:
    site = await Site().loaded()
    await site.add("billing")
    site.sender.always["https://billing.example/hooks"] = outcome
    found = data(await site.ask("POST", f"{TARGETS}/billing/test"))
    assert (found["outcome"], found["status"], found["seconds"]) == told
    assert found["reason"] == outcome.reason
    assert site.queue.puts == []
    assert b'"type":"voxgate.test"' in site.sender.sent[0].body


async def test_a_fixed_target_can_not_be_removed_nor_its_secret_changed_here() -> None:
    site = await Site([filed("php")]).loaded()
    refused(await site.ask("DELETE", f"{TARGETS}/php"), 409, "conflict")
    refused(await site.ask("POST", f"{TARGETS}/php/rotate-secret"), 409, "conflict")
    data(await site.ask("POST", f"{TARGETS}/stub/rotate-secret"))


async def test_a_name_that_is_taken_is_a_conflict() -> None:
    site = await Site([filed("php")]).loaded()
    await site.add("billing")
    for name in ("billing", "php", "stub"):
        refused(await site.ask("POST", TARGETS, {"name": name, "url": "https://x.example"}), 409, "conflict")


async def test_a_target_that_another_node_added_just_now_can_be_operated() -> None:
    for verb in (*VERBS, None):
        site = await Site().loaded()
        other = await Site().loaded()
        other.link._store = site.store
        await other.add("billing")
        path = f"{TARGETS}/billing"
        data(await (site.ask("DELETE", path) if verb is None else site.ask("POST", f"{path}/{verb}")))


@pytest.mark.parametrize("name", HOSTILE_NAMES)
async def test_a_hostile_name_in_a_path_reaches_no_target_and_no_other_route(name: str) -> None:
    site = await Site([filed("php")]).loaded()
    kept = await site.store.scan("")
    path = f"{TARGETS}/{quote(name, safe='').replace('.', '%2E')}"
    answers = [await site.ask("DELETE", path), *[await site.ask("POST", f"{path}/{verb}") for verb in VERBS]]
    assert {answer.status_code for answer in answers} <= {404, 405}
    assert await site.store.scan("") == kept
    assert site.sender.sent == []


@pytest.mark.parametrize(
    "fault",
    [
        {"name": "Billing"}, {"name": ""}, {"name": "a/b"}, {"name": "x" * 49}, {"name": 1}, {"name": None},
        {"url": ""}, {"url": "ftp://x"}, {"url": "https://u:p@x"}, {"url": "javascript:alert(1)"}, {"url": "x" * 5000},
        {"events": []}, {"events": ["A"]}, {"events": "order.*"}, {"events": ["a"] * 65},
        {"secret": ""}, {"secret": "whsec_x"}, {"timeout": 0}, {"timeout": 26}, {"timeout": "1"}, {"rate": 0},
        {"rate": -1}, {"concurrency": 0}, {"concurrency": 1.5}, {"concurrency": 10**30}, {"orderBy": "nonsense"},
        {"order_by": "subject"}, {"managedBy": "file"}, {"id": "tgt_mine"},
    ],
)  # fmt: skip
async def test_a_target_that_is_not_sound_is_invalid_input(fault: dict[str, object]) -> None:
    site = await Site().loaded()
    kept = await site.store.scan("")
    body = {"name": "billing", "url": "https://billing.example", **fault}
    error = refused(await site.ask("POST", TARGETS, body), 422, "invalid_input")
    assert error["details"]
    assert await site.store.scan("") == kept


async def test_every_fault_of_a_target_is_told_at_once_and_no_secret_repeated() -> None:
    site = await Site(prod=True).loaded()
    body = {"name": "Billing", "url": "http://billing.example", "secret": "whsec_c2hvcnQ=", "timeout": 99}
    answer = await site.ask("POST", TARGETS, body)
    assert len(refused(answer, 422, "invalid_input")["details"]["faults"]) == 4
    assert "c2hvcnQ" not in answer.text


JSON_TYPE = {"Content-Type": "application/json"}


TAKING_BODIES = [TARGETS, *(f"{TARGETS}/billing/{verb}" for verb in VERBS), f"{POST}/replay"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "malformed_json"),
        (b"\xff\xfe", 400, "malformed_json"),
        (b'{"name": "a", "name": "b", "url": "https://a.example"}', 400, "malformed_json"),
        (b'{"\xff": 1}', 400, "malformed_json"),
        (b"[]", 422, "invalid_input"),
        (b"null", 422, "invalid_input"),
        (b'{"more": 1}', 422, "invalid_input"),
        (b'{"' + b"x" * 10_000 + b'": 1}', 422, "invalid_input"),
        (b'{"more": ' + b"[" * 10_000, 400, "malformed_json"),
        (b'"' + b"x" * MAX_COMMAND + b'"', 413, "body_too_large"),
    ],
)
async def test_a_hostile_body_is_refused(body: bytes, status: int, code: str) -> None:
    site = await Site().loaded()
    await site.add("billing")
    for path in TAKING_BODIES:
        answer = await site.ask("POST", path, body, {**OPERATOR, **JSON_TYPE})
        refused(answer, status, code)
        assert len(answer.content) < 500
        refused(await site.ask("POST", path, body[:MAX_COMMAND]), 415, "unsupported_media_type")


@pytest.mark.parametrize("reason", ["", "x" * 201, "two\nlines", "\x1b[31mred", "\u202eltr", 1, None])
async def test_a_reason_is_a_line_that_a_terminal_may_print(reason: object) -> None:
    site = await Site().loaded()
    await site.add("billing")
    refused(await site.ask("POST", f"{TARGETS}/billing/disable", {"reason": reason}), 422, "invalid_input")
    assert site.fanout.registry.matching("a.b") != ()


async def test_a_store_that_is_down_is_said_to_be() -> None:
    site = await Site().loaded()
    await site.add("billing")
    asked: list[tuple[str, str, object]] = [
        ("POST", TARGETS, {"name": "other", "url": "https://x.example"}),
        *[("POST", f"{TARGETS}/billing/{verb}", None) for verb in ("disable", "rotate-secret")],
        ("POST", f"{TARGETS}/unheard/test", None),
        ("DELETE", f"{TARGETS}/billing", None),
    ]
    site.link.before = unavailable
    for method, path, body in asked:
        refused(await site.ask(method, path, body), 503, "unavailable")
    data(await site.ask("GET", TARGETS))


async def test_an_addition_that_failed_half_way_can_be_made_again() -> None:
    site = await Site().loaded()
    site.link.before = only("put_if_absent", "fanout.target.", unavailable)
    answer: httpx.Response = await site.ask("POST", TARGETS, {"name": "billing", "url": "https://x.example"})
    refused(answer, 503, "unavailable")
    await site.add("billing")
    node = Node(site.store, site.clock)
    await node.registry.load()
    assert [target.name for target in node.registry] == ["billing"]
