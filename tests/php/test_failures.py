"""What the shim answers when the script behind it fails, on a PHP that is set to tell everything."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from tests.php.cases import TRACE, raw
from tests.php.shim import ROOT, PhpServer, needs_php, php_server
from tests.responder.serving import RawAnswer, exchange
from voxgate_responder import load_schema, security_headers

SITE = Path(__file__).with_name("site")
PROBLEM = Draft202012Validator(load_schema("envelope-problem"))
SUCCESS = Draft202012Validator(load_schema("envelope-success"))
SECRETS = ("hunter2", str(ROOT), ".php on line", ".php:", "Stack trace", "Fatal error", "Warning", "<br", "PHP/8")

FAILING = [
    "exception", "undefined", "type_error", "parse_error", "compile_error", "redeclared", "memory", "echoing_memory",
    "time_limit", "user_error", "strict_warning", "silent", "not_utf8", "clash", "buffers", "destructor",
]  # fmt: skip

pytestmark = needs_php


@pytest.fixture(scope="module")
def site() -> Iterator[PhpServer]:
    with php_server(SITE, environ={"SHIM_AUTOLOAD": str(ROOT / "php_shim" / "src" / "autoload.php")}) as server:
        yield server


def assert_nothing_leaked(answer: RawAnswer) -> None:
    told = answer.content.decode() + repr(answer.headers)
    assert not [secret for secret in SECRETS if secret in told]
    assert "x-powered-by" not in answer.headers
    for name, _ in security_headers(private=False):
        assert name.decode() in answer.headers


@pytest.mark.parametrize("script", FAILING)
async def test_a_failing_script_answers_500_in_the_envelope_and_tells_nothing(script: str, site: PhpServer) -> None:
    answer = await exchange(site.port, raw("GET", f"/{script}.php?token=hunter2"))
    assert answer.status_code == 500, answer.content
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    PROBLEM.validate(answer.json())
    assert answer.json()["error"] == {"code": "internal_error", "message": "The gateway failed"}
    assert answer.json()["traceId"] == answer.headers["x-trace-id"] == TRACE
    assert answer.json()["instance"] == f"/{script}.php"
    assert_nothing_leaked(answer)
    assert site.runs


@pytest.mark.parametrize("script", [script for script in FAILING if script != "time_limit"])
async def test_head_of_a_failing_script_has_the_same_headers_and_no_body(script: str, site: PhpServer) -> None:
    answer = await exchange(site.port, raw("HEAD", f"/{script}.php"), head_only=True)
    assert answer.status_code == 500
    assert_nothing_leaked(answer)


async def test_stray_output_and_notices_do_not_reach_the_caller_and_own_headers_stay(site: PhpServer) -> None:
    answer = await exchange(site.port, raw("GET", "/untidy.php"))
    assert answer.status_code == 200
    assert answer.content == f'{{"success":true,"traceId":"{TRACE}","data":[],"rows":[]}}'.encode()
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-own"] == "kept"
    assert answer.headers["x-frame-options"] == "SAMEORIGIN"
    assert_nothing_leaked(answer)


@pytest.mark.parametrize("script", ["twice", "late"])
async def test_the_first_answer_stays_whatever_happens_after_it(script: str, site: PhpServer) -> None:
    answer = await exchange(site.port, raw("GET", f"/{script}.php"))
    assert answer.status_code == 200
    SUCCESS.validate(answer.json())
    assert_nothing_leaked(answer)


async def test_a_thrown_refusal_is_answered_as_it_says(site: PhpServer) -> None:
    answer = await exchange(site.port, raw("GET", "/refused.php"))
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "7"
    assert answer.json()["error"] == {"code": "quota_exceeded", "message": "Slow down", "details": {"limit": 5}}
    PROBLEM.validate(answer.json())


async def test_the_reason_is_in_the_log_beside_the_trace(site: PhpServer) -> None:
    await exchange(site.port, raw("GET", "/exception.php", {"traceparent": f"00-{'e' * 32}-{'1' * 16}-01"}))
    await exchange(site.port, raw("GET", "/refused.php"))
    [line] = [line for line in site.log if f"trace={'e' * 32}" in line]
    assert "RuntimeException: the password is hunter2 in" in line
