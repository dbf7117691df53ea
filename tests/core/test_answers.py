from dataclasses import FrozenInstanceError

import pytest

from voxgate_core import Answer


def test_an_answer_is_a_plain_200_unless_it_says_otherwise() -> None:
    answer = Answer({"token": "t"})
    assert (answer.status, dict(answer.legacy), dict(answer.headers), answer.bare) == (200, {}, {}, False)


def test_two_answers_share_no_default_mapping() -> None:
    assert Answer({}).legacy is not Answer({}).legacy


def test_an_answer_cannot_be_changed_after_it_was_given() -> None:
    with pytest.raises(FrozenInstanceError):
        Answer({}).status = 500  # type: ignore[misc]  # the refusal is the point
