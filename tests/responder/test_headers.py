"""The one list of security headers."""

from voxgate_responder import SECURITY_HEADERS, security_headers
from voxgate_responder.headers import is_private, missing_headers


def test_every_group_s_names_are_lower_case_and_its_values_printable() -> None:
    for group in (SECURITY_HEADERS["every"], SECURITY_HEADERS["data"], SECURITY_HEADERS["page"],
                  SECURITY_HEADERS["private"], SECURITY_HEADERS["https"]):  # fmt: skip
        for name, value in group.items():
            assert name == name.lower()
            assert value.isprintable()


def test_an_api_answer_carries_the_strict_set() -> None:
    headers = dict(security_headers(private=True, content_type=b"application/json"))
    assert headers[b"x-content-type-options"] == b"nosniff"
    assert headers[b"x-frame-options"] == b"DENY"
    assert headers[b"referrer-policy"] == b"no-referrer"
    assert headers[b"content-security-policy"] == b"default-src 'none'; frame-ancestors 'none'"
    assert headers[b"cache-control"] == b"no-store"
    assert {b"permissions-policy", b"cross-origin-resource-policy", b"cross-origin-opener-policy"} <= set(headers)
    assert b"strict-transport-security" not in headers


def test_a_page_may_load_its_scripts_and_a_public_answer_be_cached() -> None:
    headers = dict(security_headers(private=False, content_type=b"Text/HTML; charset=utf-8", https=True))
    assert b"default-src" not in headers[b"content-security-policy"]
    assert b"cache-control" not in headers
    assert b"strict-transport-security" in headers


def test_callers_data_is_below_the_private_paths() -> None:
    assert is_private("/api/health")
    assert is_private("/v1/realtime/client_secrets")
    assert not is_private("/console")
    assert not is_private("/apiary")


def test_what_is_present_in_any_case_is_not_added() -> None:
    assert missing_headers([(b"X-A", b"1")], ((b"x-a", b"2"), (b"x-b", b"3"))) == [(b"x-b", b"3")]
