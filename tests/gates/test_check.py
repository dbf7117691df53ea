import pytest

from tests.gates.samples import made_check, nothing
from voxgate_gates import ALL_CHECKS, GATES, ConditionError, Suite, select


def test_every_check_has_its_own_id_under_its_gate() -> None:
    ids = [check.id for check in ALL_CHECKS]
    assert len(set(ids)) == len(ids)
    assert all(check.id.startswith(f"{check.gate}.") for check in ALL_CHECKS)
    assert GATES == ("security", "realtime", "build", "data", "docs")


def test_every_check_promises_one_sentence_and_advises_one() -> None:
    for check in ALL_CHECKS:
        assert check.promise.endswith(".")
        assert check.advice.endswith(".")
        assert check.docs == f"docs/gates/{check.id}"


def test_spoken_turns_floods_and_posted_events_stay_away_from_production() -> None:
    unsafe = {check.id for check in ALL_CHECKS if not check.safe_on_production}
    assert unsafe == {
        "security.token-body-too-large-413",
        "security.garbage-bytes-400",
        "realtime.revoked-live-4003",
        "realtime.turn-by-vad",
        "realtime.turn-by-push-to-talk",
        "realtime.oversize-1009",
        "build.fanout-accepted",
        "build.fanout-delivered",
        "build.fanout-idempotent",
        "build.fanout-key-reused-409",
        "build.fanout-forgery-401",
        "build.fanout-bad-body-400",
        "build.port-taken",
        "build.leaves-nothing",
        "data.gateway-donna-logic",
        "data.gateway-voice-chat",
        "data.remote-donna-logic",
        "data.remote-voice-chat",
        "data.parity",
        "data.retention-honest",
        "data.erase-really-erases",
    }


def test_a_suite_keeps_checks_in_order() -> None:
    suite = Suite("sample")
    for name in ("one", "two"):
        suite.check(name, promise="P.", condition="[A] exists", advice="D.")(nothing)
    assert [check.id for check in suite] == ["sample.one", "sample.two"]
    assert len(suite) == 2


def test_a_name_is_taken_once() -> None:
    suite = Suite("sample")
    suite.check("one", promise="P.", condition="[A] exists", advice="D.")(nothing)
    with pytest.raises(ValueError, match="two checks"):
        suite.check("one", promise="P.", condition="[A] exists", advice="D.")


@pytest.mark.parametrize("name", ["", "One", "a_b", "a--b", "-a"])
def test_a_name_is_a_slug(name: str) -> None:
    with pytest.raises(ValueError, match="lower-case words"):
        Suite("sample").check(name, promise="P.", condition="[A] exists", advice="D.")
    with pytest.raises(ValueError, match="lower-case words"):
        Suite(name)


def test_a_broken_condition_is_refused_at_registration() -> None:
    with pytest.raises(ConditionError):
        Suite("sample").check("one", promise="P.", condition="status is 200", advice="D.")


def test_selecting_by_gate_and_by_id() -> None:
    first, second = made_check("one"), made_check("two", gate="realtime")
    assert select([first, second]) == (first, second)
    assert select([first, second], ["realtime"]) == (second,)
    assert select([first, second], ["security.one"]) == (first,)


def test_the_readonly_profile_keeps_the_safe_ones() -> None:
    safe, unsafe = made_check("one"), made_check("two", safe=False)
    assert select([safe, unsafe], readonly=True) == (safe,)


def test_an_unknown_word_is_named() -> None:
    with pytest.raises(LookupError, match="no such gate or check: nope"):
        select([made_check()], ["nope", "security"])
