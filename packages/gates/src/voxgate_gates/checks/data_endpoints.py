"""The Data gate's schema checks: seven endpoints, asked in PHP, in Python, and at a PHP base elsewhere.

Each is asked for a success and for a refusal. Both must be in the envelope, fit the endpoint's JSON Schema, carry the
security headers and continue the trace; a success keeps its legacy fields.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from voxgate_gates.check import Need, Run, Suite
from voxgate_gates.envelope import envelope_faults, header_faults
from voxgate_gates.php_cases import ENDPOINTS, PARITY, Ask, Endpoint
from voxgate_gates.probe import Answer, Probe
from voxgate_gates.schema import schema_faults

__all__ = ["suite"]

suite = Suite("data")

CHECK_SECONDS: Final = 30.0
"""For the checks of one PHP server, which serves one request at a time, whoever else waits."""


@dataclass(frozen=True, slots=True)
class _Place:
    name: str
    title: str
    needs: frozenset[Need]
    advice: str
    is_own: bool = False


_PHP: Final = _Place(
    "php",
    "On the PHP shim",
    frozenset({Need.PHP}),
    "Ask `php -S 127.0.0.1:8081 -t php_shim/public php_shim/router.php` the same, and read what PHP logs.",
    is_own=True,
)
_GATEWAY: Final = _Place(
    "gateway",
    "On the gateway",
    frozenset({Need.KEY, Need.ORIGIN}),
    "Hold the answer to voxgate_responder's schemas; with a PHP backend behind the gateway, look at that one first.",
)
_REMOTE: Final = _Place(
    "remote",
    "On the PHP base that was named",
    frozenset({Need.REMOTE_PHP}),
    "Let that endpoint answer through ApiResponder, as docs/php.md shows step by step.",
)
PLACES: Final = (_PHP, _GATEWAY, _REMOTE)


def _register(place: _Place, endpoint: Endpoint) -> None:
    async def run(probe: Probe) -> Mapping[str, object]:
        probe.reproduce_whole()
        refused, refused_faults = await _judged(probe, place, endpoint, endpoint.bad)
        status, faults = await _judged(probe, place, endpoint, endpoint.good)
        return {"STATUS": status, "FAULTS": faults, "REFUSED": refused, "REFUSED_FAULTS": refused_faults}

    checked: Run = run
    suite.check(
        f"{place.name}-{endpoint.name.replace('_', '-')}",
        promise=(
            f"{place.title}, {endpoint.good.path.partition('?')[0]} answers and refuses in the envelope, to its schema, "
            "with its legacy fields."
        ),
        condition=(
            f"[STATUS] == {endpoint.good.status} && [FAULTS] == [] && [REFUSED] == {endpoint.bad.status} && "
            "[REFUSED_FAULTS] == []"
        ),
        advice=place.advice,
        safe_on_production=place.is_own or not endpoint.lasts,
        needs=place.needs,
        seconds=CHECK_SECONDS,
    )(checked)


for _place in PLACES:
    for _endpoint in ENDPOINTS:
        _register(_place, _endpoint)


@suite.check(
    "parity",
    promise="PHP and Python give equal answers: the same status and the same body, but for the trace id.",
    condition="[DIFFERENT] == [] && [UNEXPECTED] == []",
    advice="Ask both for what differs, change the one that is wrong, and add the request to tests/php/cases.py.",
    safe_on_production=False,
    needs=[Need.PHP, Need.KEY, Need.ORIGIN],
    seconds=CHECK_SECONDS,
)
async def parity(probe: Probe) -> Mapping[str, object]:
    probe.reproduce_whole()
    different, unexpected = [], []
    for ask in PARITY:
        ours, theirs = await _ask(probe, _GATEWAY, ask), await _ask(probe, _PHP, ask)
        if ours.status != theirs.status or _lasting(ours) != _lasting(theirs):
            different.append(f"{ask}: {ours.status} and {theirs.status} in PHP")
        elif ours.status != ask.status:
            unexpected.append(f"{ask}: {ours.status}, not {ask.status}")
    probe.figure("requests with equal answers", f"{len(PARITY) - len(different)} of {len(PARITY)}")
    return {"DIFFERENT": different, "UNEXPECTED": unexpected}


async def _ask(probe: Probe, place: _Place, ask: Ask, trace_id: str | None = None) -> Answer:
    target = probe.target
    base, origin, bearer = {
        _PHP.name: (target.php, None, None),
        _GATEWAY.name: (None, target.origin, target.key),
        _REMOTE.name: (target.remote_php, None, target.remote_php_key),
    }[place.name]
    headers = dict(ask.headers)
    if trace_id is not None:
        headers["traceparent"] = f"00-{trace_id}-{secrets.token_hex(8)}-01"
    return await probe.http(
        ask.method,
        ask.path,
        base=base,
        origin=origin,
        bearer=bearer,
        headers=headers,
        json=ask.body,
        content=ask.content,
    )


async def _judged(probe: Probe, place: _Place, endpoint: Endpoint, ask: Ask) -> tuple[int, list[str]]:
    """The status, and everything wrong with the answer."""
    trace_id = secrets.token_hex(16)
    answer = await _ask(probe, place, ask, trace_id)
    body, headers = answer.body, answer.headers
    faults = [*envelope_faults(answer.status, headers, body), *header_faults(headers)]
    faults += schema_faults(endpoint.name, answer.status, body)
    if headers.get("x-trace-id") != trace_id:
        faults.append("the trace of the request was not continued")
    if "x-powered-by" in headers:
        faults.append("X-Powered-By tells what runs there")
    if answer.status == 405 and "allow" not in headers:
        faults.append("Allow is missing")
    if answer.status < 400 and isinstance(body, Mapping):
        faults += _legacy_faults(endpoint, body)
    return answer.status, faults


def _legacy_faults(endpoint: Endpoint, body: Mapping[str, object]) -> list[str]:
    data = body.get("data")
    inner = data if isinstance(data, Mapping) else {}
    return [
        f"the legacy field {name} is not that of data"
        for name in endpoint.legacy
        if name not in body or body[name] != inner.get(name)
    ]


def _lasting(answer: Answer) -> object:
    """The body without what is new each time; of one that is not JSON, its bytes."""
    body = answer.body
    if not isinstance(body, Mapping):
        return answer.content
    return {name: value for name, value in body.items() if name != "traceId"}
