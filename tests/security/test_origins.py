"""One verdict per Origin: equal to an entry, or refused."""

import ipaddress
import re
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.helpers.origin_cases import ALLOWED, CASES, ENVIRONMENT, MISSING, UNSENDABLE, OriginCase
from voxgate_core import ConfigurationError, Environment, OriginGate, VoxgateError
from voxgate_security import MissingOrigin, OriginPolicy
from voxgate_security.origins import MAX_ORIGIN_LENGTH, is_host

POLICY = OriginPolicy.parse(ENVIRONMENT, ALLOWED, missing=MISSING)
EXACT = {origin.encode() for origin in ALLOWED if "*" not in origin}
LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
WILDCARDS = re.compile(rf"https://{LABEL}\.(?:preview\.example\.com|tenants\.example\.com:9443)".encode())


def admits(policy: OriginGate, values: list[bytes]) -> bool:
    try:
        policy.admit(values)
    except VoxgateError as error:
        if error.code == "origin_refused":
            return False
        raise
    return True


def faults(environment: Environment, *allowed: str) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        OriginPolicy.parse(environment, allowed, missing=MissingOrigin.REQUIRE)
    return caught.value.faults


def parses(entry: str, environment: Environment = Environment.DEV) -> bool:
    try:
        OriginPolicy.parse(environment, [entry], missing=MissingOrigin.REQUIRE)
    except ConfigurationError:
        return False
    return True


def test_there_are_enough_cases_and_each_has_a_name() -> None:
    assert len(CASES) >= 250
    assert len({case.id for case in CASES}) == len(CASES)
    assert sum(case.allowed for case in CASES) >= 20


@pytest.mark.parametrize("case", [*CASES, *UNSENDABLE], ids=lambda case: ascii(case.id))
def test_an_origin_gets_the_verdict_of_its_case(case: OriginCase) -> None:
    assert admits(POLICY, case.values) is case.allowed


def test_an_admitted_origin_comes_back_as_text() -> None:
    assert POLICY.admit([b"https://app.example.com"]) == "https://app.example.com"
    assert POLICY.admit([b"https://pr-7.preview.example.com"]) == "https://pr-7.preview.example.com"


def test_a_missing_origin_is_a_policy_of_its_own() -> None:
    lenient = OriginPolicy.parse(ENVIRONMENT, ALLOWED, missing=MissingOrigin.ALLOW_WITH_BEARER)
    assert lenient.missing is MissingOrigin.ALLOW_WITH_BEARER
    assert lenient.admit([]) is None
    for value in (b"", b"null"):
        assert not admits(lenient, [value])
    with pytest.raises(VoxgateError, match="one is required"):
        POLICY.admit([])
    with pytest.raises(VoxgateError, match="more than one"):
        lenient.admit([b"https://app.example.com"] * 2)


@given(st.binary(max_size=80) | st.text(max_size=80).map(lambda text: text.encode("utf-8", "surrogatepass")))
@example(b"https://-.preview.example.com")
def test_a_value_is_admitted_only_when_it_equals_an_entry(value: bytes) -> None:
    assert admits(POLICY, [value]) is (value in EXACT or WILDCARDS.fullmatch(value) is not None)


@given(
    st.sampled_from(["https://", "http://", "https:/", "HTTPS://", ""]),
    st.text("abz019-._*A\u00e9 ", max_size=66),
    st.sampled_from([".preview.example.com", ".tenants.example.com:9443", ".preview.example.com:443", "", ".evil.com"]),
)
def test_a_wildcard_is_one_label(scheme: str, label: str, rest: str) -> None:
    value = f"{scheme}{label}{rest}".encode()
    assert admits(POLICY, [value]) is (WILDCARDS.fullmatch(value) is not None)


@given(st.sampled_from(sorted(EXACT)), st.data())
def test_one_changed_byte_is_refused_unless_it_makes_another_entry(origin: bytes, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(origin) - 1))
    changed = origin[:place] + bytes([data.draw(st.integers(0, 255))]) + origin[place + 1 :]
    assert admits(POLICY, [changed]) is (changed in EXACT)


def canonical(entry: str) -> bool:
    """Written anew with the URL library and the address library: is this what a browser would serialise?"""
    try:
        parts = urlsplit(entry)
        port = parts.port
    except ValueError:
        return False
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or "@" in parts.netloc or parts.netloc.endswith(":"):
        return False
    if ":" in host:
        try:
            host = f"[{ipaddress.IPv6Address(host).compressed}]"
        except ValueError:
            return False
    else:
        last = host.rpartition(".")[2]
        if last.isdigit() or re.fullmatch(r"0x[0-9a-f]*", last):
            try:
                ipaddress.IPv4Address(host)
            except ValueError:
                return False
        elif not re.fullmatch(rf"{LABEL}(?:\.{LABEL})*", host) or len(host) > 253:
            return False
    suffix = "" if port is None or port == {"http": 80, "https": 443}[parts.scheme] else f":{port}"
    return port != 0 and entry == f"{parts.scheme}://{host}{suffix}"


hosts = st.sampled_from(
    [
        "a.example",
        "A.example",
        "a..b",
        "a.",
        "-a.b",
        "a-.b",
        "localhost",
        "127.0.0.1",
        "127.1",
        "1.2.3",
        "0x7f.1",
        "[::1]",
    ]
    + [
        "[::]",
        "[2001:db8::1]",
        "[2001:DB8::1]",
        "[1:0:0:2:0:0:0:3]",
        "[1::2:0:0:0:3]",
        "xn--a.b",
        "\u00e9.b",
        "",
        "a_b.c",
    ]
) | st.text("ab01.-x", min_size=1, max_size=70)
ports = st.sampled_from(["", ":", ":80", ":443", ":8080", ":0", ":08080", ":65535", ":65536", ":x", ":1:2", ":\u0661"])


@given(
    st.sampled_from(["http", "https", "ftp", "HTTPS", ""]),
    st.sampled_from(["://", ":", ":/", "//"]),
    hosts,
    ports,
    st.sampled_from(["", "/", "/a", "?", "#", "@b", "\\"]),
)
def test_entries_are_taken_when_a_browser_would_write_them_so(
    scheme: str, separator: str, host: str, port: str, tail: str
) -> None:
    entry = f"{scheme}{separator}{host}{port}{tail}"
    assert parses(entry) is canonical(entry)


def test_every_fault_of_a_production_list_is_named_at_once() -> None:
    found = faults(
        Environment.PROD,
        "https://app.example.com",
        "http://localhost:3000",
        "http://app.localhost",
        "http://127.8.9.1",
        "http://[::1]",
        "http://[::ffff:7f00:1]",
        "http://0.0.0.0",
        "https://*.example.com",
        "null",
        "https://App.example.com",
    )
    assert len(found) == 9
    assert sum("loopback" in fault for fault in found) == 6
    assert sum("wildcard" in fault for fault in found) == 1
    assert all(fault.startswith("ALLOWED_ORIGINS: ") for fault in found)


def test_a_loopback_wildcard_in_production_is_two_faults() -> None:
    assert len(faults(Environment.PROD, "http://*.localhost:3000")) == 2


def test_production_needs_an_origin_and_other_environments_do_not() -> None:
    assert faults(Environment.PROD) == ("ALLOWED_ORIGINS: no origin is allowed; name the origins of your pages",)
    assert faults(Environment.PROD, " ", "") == faults(Environment.PROD)
    empty = OriginPolicy.parse(Environment.DEV, [], missing=MissingOrigin.REQUIRE)
    assert not admits(empty, [b"https://app.example.com"])


@pytest.mark.parametrize(
    ("entry", "word"),
    [
        ("*", "not an origin"),
        ("null", "not an origin"),
        ("https://*", "lower-case"),
        ("https://*.com", "top-level"),
        ("https://*.0.0.1", "four plain decimals"),
        ("https://*.192.0.2.1", "address"),
        ("https://a.*.example.com", "lower-case"),
        ("https://*a.example.com", "lower-case"),
        ("https://*.*.example.com", "lower-case"),
        ("https://münchen.example", "punycode"),
        ("https://a.example:443", "default port"),
        ("http://a.example:80", "default port"),
        ("https://a.example:99999", "port above"),
        ("https://a.example/", "lower-case"),
        ("https://a.example.", "trailing dot"),
        ("https://a.example:8443/x", "more than"),
        ("https://user@a.example", "lower-case"),
        ("https://[::1", "IPv6"),
        ("https://[::0]", "IPv6"),
        ("https://" + "a" * 64 + ".example", "too long"),
        ("https://" + "a." * 124 + "example", "too long"),
        ("https://" + "a" * 300, "longer than"),
    ],
)
def test_a_malformed_entry_is_told_what_is_wrong_with_it(entry: str, word: str) -> None:
    (fault,) = faults(Environment.DEV, entry)
    assert word in fault
    assert len(fault) < 250


def test_wildcards_over_local_names_and_other_ports_work_outside_production() -> None:
    policy = OriginPolicy.parse(
        Environment.DEV, ["http://*.localhost:3000", " https://*.example.com "], missing=MissingOrigin.REQUIRE
    )
    assert admits(policy, [b"http://app.localhost:3000"])
    assert admits(policy, [b"https://app.example.com"])
    assert not admits(policy, [b"http://localhost:3000"])


def test_a_wildcard_label_leaves_room_for_the_longest_host_only() -> None:
    suffix = ".".join(["a" * 60] * 4)
    policy = OriginPolicy.parse(Environment.DEV, [f"https://*.{suffix}"], missing=MissingOrigin.REQUIRE)
    room = 253 - len(suffix) - 1
    assert admits(policy, [f"https://{'x' * room}.{suffix}".encode()])
    assert not admits(policy, [f"https://{'x' * (room + 1)}.{suffix}".encode()])


def test_the_longest_origin_is_admitted() -> None:
    host = ".".join(["a" * 63, "b" * 63, "c" * 63, "d" * 61])
    longest = f"https://{host}:65535"
    assert len(longest) == MAX_ORIGIN_LENGTH
    policy = OriginPolicy.parse(Environment.PROD, [longest], missing=MissingOrigin.REQUIRE)
    assert policy.admit([longest.encode()]) == longest
    assert "origins=1" in repr(policy)


def test_hosts_are_told_from_other_text() -> None:
    assert is_host("app.example.com")
    assert is_host("[::1]")
    assert is_host("[1::2:0:0:3]")
    assert not is_host("app.example.com:80")
    assert not is_host("")
    assert is_host("[::ffff:7f00:1]")
