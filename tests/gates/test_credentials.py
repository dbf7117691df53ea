from base64 import urlsafe_b64encode

import pytest

from tests.gates.fake_tokens import sign, verify
from voxgate_gates.credentials import Token, claims_of, epoch_seconds, tampered


def made_token() -> str:
    return sign("a-secret", subject="s", origin=None, seconds=60)[0]


def test_claims_are_read_without_the_secret_with_the_prefix_or_without() -> None:
    token = made_token()
    assert claims_of(token)["sub"] == "s"
    assert claims_of(f"ek_{token}") == claims_of(token)


DEEP = f"a.{urlsafe_b64encode(b'[' * 100_000).decode()}.c"


@pytest.mark.parametrize("text", ["", "a.b", "a.!!!.c", "a.W10.c", "a.e30.c.d", DEEP])
def test_what_is_no_token_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        claims_of(text)


def test_a_tampered_token_differs_by_one_character_and_fails_verification() -> None:
    token = made_token()
    changed = tampered(token)
    assert sum(one != other for one, other in zip(token, changed, strict=True)) == 1
    assert verify("a-secret", token) is not None
    assert verify("a-secret", changed) is None
    assert tampered("a.b.AAAA") == "a.b.AABA"


@pytest.mark.parametrize(
    ("written", "seconds"),
    [(1_700_000_000, 1_700_000_000.0), (1_700_000_000_000, 1_700_000_000.0), ("2023-11-14T22:13:20Z", 1_700_000_000.0)],
)
def test_a_moment_is_read_in_any_of_its_forms(written: object, seconds: float) -> None:
    assert epoch_seconds(written) == seconds


@pytest.mark.parametrize(
    "written", [None, True, [], "soon", "2023-11-14T22:13:20", pytest.param(10**400, id="too late")]
)
def test_what_is_no_moment_is_a_value_error(written: object) -> None:
    with pytest.raises(ValueError, match=r".+"):
        epoch_seconds(written)


def test_a_token_is_not_in_its_repr() -> None:
    assert "hidden" not in repr(Token("hidden", 1.0, 1.0))
