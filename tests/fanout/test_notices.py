"""What a notice says, and what it keeps to itself."""

import re

from tests.fanout.bench import a_target
from voxgate_fanout.event import TARGET_DISABLED, decode_event, encode_event
from voxgate_fanout.notices import SOURCE, target_disabled


def test_it_says_which_target_was_disabled_when_and_why() -> None:
    target = a_target("crm")
    notice = target_disabled(target, "it answered 410 Gone", 1_700_000_000.5)
    assert (notice.type, notice.source, notice.subject) == (TARGET_DISABLED, SOURCE, "crm")
    assert notice.time == 1_700_000_000.5
    assert notice.data == {"target": "crm", "targetId": target.id, "reason": "it answered 410 Gone"}


def test_it_has_an_id_of_its_own_that_may_be_signed() -> None:
    first, second = (target_disabled(a_target(), "why", 0.0) for _ in range(2))
    assert first.id != second.id
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", first.id)


def test_neither_url_nor_secret_is_told() -> None:
    target = a_target("crm")
    written = encode_event(target_disabled(target, "why", 0.0))
    assert target.secrets[0].value.encode() not in written
    assert target.url.encode() not in written
    assert decode_event(written).data["reason"] == "why"
