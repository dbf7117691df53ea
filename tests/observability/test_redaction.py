"""What is taken out of text, what stays, and how long it takes."""

import json
import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgate_observability import REDACTED, Redactor, redact

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJlLXRoYXQtaXMtc2VjcmV0"
VK = "vk_AbCdEfGhIjKlMnOpQrStUvWxYz012345"
EK = f"ek_{JWT}"
SK = "sk-proj-AbCdEfGhIjKlMnOpQrSt"
WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SECRET_PART = {JWT: "c2lnbmF0", VK: "EfGhIjKl", EK: "c2lnbmF0", SK: "AbCdEf", WHSEC: "MfKQ9r8G"}


@pytest.mark.parametrize("secret", [JWT, VK, EK, SK, WHSEC], ids=["jwt", "vk", "ek", "sk", "whsec"])
@pytest.mark.parametrize(
    "frame",
    ["{}", "before {} after", "Bearer {}", "Authorization: Bearer {}", "'{}'", '"{}"', "a={}&b=1", "x\\n{}\\n",
     "\\u001b{}", "(b'authorization', b'Bearer {}')", "openai-insecure-api-key.{}", "https://h/p?token={}", "<{}>",
     '{{"message":"tab\\t{}"}}'],
)  # fmt: skip
def test_a_credential_never_survives_whatever_stands_around_it(secret: str, frame: str) -> None:
    shown = redact(frame.format(secret))
    assert SECRET_PART[secret] not in shown
    assert REDACTED in shown
    assert redact(shown) == shown


def listed(lead: str) -> list[str]:
    """The names behind a bullet of the package's README."""
    readme = Path(__file__).parents[2] / "packages" / "observability" / "README.md"
    (bullet,) = re.findall(rf"^- {lead}[^:]*:(.*?)\.\n(?=- |\n)", readme.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return re.findall(r"`([^`]+)`", bullet)


def test_the_readme_lists_the_names_whose_values_are_taken_out() -> None:
    assert [name for name in listed("Found by name") if "swordfish" in redact(f"{name}: swordfish")] == []
    query = [name for name in listed("Found in the query") if "swordfish" in redact(f"https://h/p?{name}=swordfish")]
    assert query == []
    assert len(listed("Found by name")) == 15
    assert redact("upstream_key: swordfish") == "upstream_key: swordfish"


def test_a_gateway_key_keeps_a_short_prefix_and_nothing_else_does() -> None:
    assert redact(f"key {VK}") == f"key vk_AbCd{REDACTED}"
    assert redact(f"key {SK}") == f"key sk-{REDACTED}"
    assert redact(f"key {WHSEC}") == f"key whsec_{REDACTED}"
    assert redact("ek_abcdef123") == f"ek_{REDACTED}"


@pytest.mark.parametrize(
    "line",
    ["api-key: hunter2", '"api-key": "hunter2"', "(b'api-key', b'hunter2')", "{'api-key': 'hunter2'}", "x-api-key=hunter2",
     "Authorization: Basic hunter2==", "authorization: hunter2", "Cookie: hunter2", "JWT_SECRET=hunter2",
     '{\\"api_key\\": \\"hunter2\\"}', "password='hunter2'", "OPENAI_API_KEY=hunter2", "BEARER hunter2",
     "GET /realtime?x=1&token=hunter2 HTTP/1.1", "bearer%20hunter2", "bearer.hunter2hunter2hunter2"],
)  # fmt: skip
def test_what_a_secret_s_name_announces_is_redacted(line: str) -> None:
    shown = redact(line)
    assert "hunter2" not in shown
    assert redact(shown) == shown


@pytest.mark.parametrize(
    "line",
    ["the bearer token has expired", "risk-based-authentication-is-used", "week_of_november_2026", "task-0123456789abcdef",
     "eyJust a word", "tokens: 12", "a.b.c", "disk-usage-is-at-ninety-percent", "GET /api/health?verbose=1", "cookies"],
)  # fmt: skip
def test_ordinary_words_stay(line: str) -> None:
    assert redact(line) == line


def test_a_registered_secret_is_found_in_every_form_it_may_take() -> None:
    secret = 'pa"ss\\wörd\n1'
    redactor = Redactor([secret, "", "short-secret"])
    for form in (
        secret,
        json.dumps(secret),
        json.dumps(secret, ensure_ascii=False),
        repr(secret),
        json.dumps(repr(secret)),
    ):
        assert "ss" not in redactor.redact(f"<{form}>"), form
    assert redactor.redact("a short-secret b") == f"a {REDACTED} b"


def test_the_longer_of_two_overlapping_secrets_is_replaced_whole() -> None:
    assert Redactor(["abcd", "abcdefgh"]).redact("abcdefgh abcd") == f"{REDACTED} {REDACTED}"


def test_a_secret_too_short_to_redact_is_refused_without_being_shown() -> None:
    with pytest.raises(ValueError, match="at least 4") as refused:
        Redactor(["xyz"])
    assert "xyz" not in str(refused.value)


def test_a_redactor_never_shows_its_secrets() -> None:
    assert "hunter2" not in repr(Redactor(["hunter2"]))


@pytest.mark.parametrize(
    "unit",
    ["eyJ", "eyJ.", "eyJa.b", "Bearer ", "bearer", "vk_", "vk_a ", "ek_", "sk-", "sk-a ", "whsec_", "api-key: ", "api_key",
     "password='", "?token=", "&", "\\n", "authorization ", "openai-insecure-api-key.", "cookie\\\\", "a", " ", "_token\t",
     "Authorization: Bearer Bearer "],
)  # fmt: skip
def test_a_megabyte_of_anything_is_redacted_in_linear_time(unit: str) -> None:
    def seconds(size: int) -> float:
        text = unit * (size // len(unit))
        began = time.perf_counter()
        redact(text)
        return time.perf_counter() - began

    # Quadratic patterns take minutes here; the bound leaves room for a busy machine.
    assert seconds(1_000_000) < 5.0


@given(st.text(), st.sampled_from([JWT, VK, EK, SK, WHSEC]), st.text(alphabet=" \n\t\"',;<>()[]{}", min_size=1))
def test_no_surrounding_text_saves_a_credential(before: str, secret: str, edge: str) -> None:
    assert SECRET_PART[secret] not in redact(f"{before}{edge}{secret}{edge}{before}")


@given(st.text())
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    once = redact(text)
    assert redact(once) == once
