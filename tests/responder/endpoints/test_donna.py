from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgate_responder.endpoints.donna import reply_to
from voxgate_responder.endpoints.table import load_shared

RULES = load_shared("donna_rules")["rules"]


@pytest.mark.parametrize(
    ("text", "before", "intent"),
    [
        ("Hello!", None, "greeting"), ("hellothere", None, "unknown"), ("What does it COST?", None, "price"),
        ("yes", "demo", "demo_day"), ("yes", None, "unknown"), ("No, later", "price", "declined"),
        ("how\n\tMUCH?", None, "price"), ("call me", None, "unknown"), ("Grüße", None, "unknown"),
        ("", None, "unknown"),
        ("\u212aello hi", None, "greeting"), ("ſhow me", None, "unknown"),
    ],
)  # fmt: skip
def test_the_first_rule_that_fits_answers(text: str, before: str | None, intent: str) -> None:
    assert reply_to(text, before).intent == intent


def test_a_name_is_heard_and_said_again() -> None:
    assert reply_to("Hi, my NAME is ada lovelace").reply.startswith("Nice to meet you, Ada.")


@pytest.mark.parametrize("rule", RULES, ids=[rule["intent"] for rule in RULES])
def test_every_rule_can_be_reached(rule: dict[str, Any]) -> None:
    before = rule.get("after", [""])[0]
    assert rule["intent"] in {reply_to(f"{phrase} x", before).intent for phrase in rule["phrases"]}


@given(st.text(), st.none() | st.sampled_from([rule["intent"] for rule in RULES]))
def test_every_text_has_one_answer(text: str, before: str | None) -> None:
    said = reply_to(text, before)
    assert said.reply
    assert said == reply_to(text, before)
