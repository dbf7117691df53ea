import ipaddress
import socket
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from yarl import URL

from voxgate_core import ConfigurationError
from voxgate_fanout.addresses import (
    MAX_URL_LENGTH,
    AddressPolicy,
    AddressRefused,
    Network,
    check_url,
    host_refusal,
    parse_networks,
    url_faults,
)

OPEN = AddressPolicy()


def policy(*allow: str, require_https: bool = False) -> AddressPolicy:
    return AddressPolicy(map(ipaddress.ip_network, allow), require_https)


def refusal(text: str, *allow: str) -> str | None:
    return policy(*allow).refusal_of(ipaddress.ip_address(text))


REFUSED = {
    "0.0.0.0": "unspecified",
    "0.1.2.3": "reserved",
    "10.0.0.0": "private",
    "10.255.255.255": "private",
    "100.64.0.1": "shared (carrier-grade NAT)",
    "100.127.255.255": "shared (carrier-grade NAT)",
    "100.100.100.200": "cloud metadata",
    "127.0.0.1": "loopback",
    "127.255.255.254": "loopback",
    "168.63.129.16": "cloud metadata",
    "169.254.0.1": "link-local",
    "169.254.169.254": "cloud metadata",
    "169.254.170.2": "cloud metadata",
    "172.16.0.1": "private",
    "172.31.255.255": "private",
    "192.0.0.192": "cloud metadata",
    "192.0.0.8": "reserved",
    "192.0.2.1": "documentation",
    "192.88.99.1": "6to4 relay",
    "192.168.1.1": "private",
    "198.18.0.1": "benchmarking",
    "198.19.255.255": "benchmarking",
    "198.51.100.7": "documentation",
    "203.0.113.7": "documentation",
    "224.0.0.1": "multicast",
    "239.255.255.250": "multicast",
    "240.0.0.1": "reserved",
    "255.255.255.255": "broadcast",
    "::": "unspecified",
    "::1": "loopback",
    "::2": "IPv4-compatible reserved",
    "::127.0.0.1": "IPv4-compatible loopback",
    "::8.8.8.8": "IPv4-compatible",
    "::ffff:127.0.0.1": "IPv4-mapped loopback",
    "::ffff:169.254.169.254": "IPv4-mapped cloud metadata",
    "::ffff:8.8.8.8": "IPv4-mapped",
    "::ffff:0:10.0.0.1": "IPv4-translated private",
    "::ffff:0:8.8.8.8": "IPv4-translated",
    "64:ff9b::10.0.0.1": "NAT64 private",
    "64:ff9b::8.8.8.8": "NAT64",
    "64:ff9b:1::192.168.0.1": "NAT64 private",
    "64:ff9b:1:abcd::8.8.8.8": "NAT64",
    "100::1": "discard",
    "2001::1": "Teredo unspecified",
    "2001:0:808:808::f7f7:f7f7": "Teredo",
    "2001:0:808:808::80ff:fffe": "Teredo loopback",
    "2001:0:7f00:1::f7f7:f7f7": "Teredo loopback",
    "2001:2::1": "benchmarking",
    "2001:20::1": "reserved",
    "2001:db8::1": "documentation",
    "2002:7f00:1::": "6to4 loopback",
    "2002:a9fe:a9fe::1": "6to4 cloud metadata",
    "2002:808:808::1": "6to4",
    "3fff::1": "documentation",
    "3ffe::1": "reserved",
    "4000::1": "reserved",
    "5f00::1": "reserved",
    "fc00::1": "private",
    "fd00:ec2::254": "cloud metadata",
    "fd20:ce::254": "cloud metadata",
    "fd12:3456::1": "private",
    "fe80::1": "link-local",
    "fe80::1%eth0": "IPv6 zone",
    "2606:4700::1%1": "IPv6 zone",
    "febf::1": "link-local",
    "fec0::1": "site-local",
    "ff02::1": "multicast",
}


@pytest.mark.parametrize(("text", "reason"), REFUSED.items())
def test_an_address_off_the_public_internet_is_refused_with_its_reason(text: str, reason: str) -> None:
    assert refusal(text) == reason


PUBLIC = [
    *("1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0"),
    *("169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.167.255.255", "192.169.0.0"),
    *("198.17.255.255", "198.20.0.0", "223.255.255.255", "2001:200::1", "2606:4700:4700::1111", "2a00:1450::1"),
]  # fmt: skip


@pytest.mark.parametrize("text", PUBLIC)
def test_a_public_address_is_good(text: str) -> None:
    assert refusal(text) is None


@given(st.ip_addresses())
def test_what_python_does_not_call_global_is_refused(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    if not address.is_global or address.is_multicast:
        assert OPEN.refusal_of(address) is not None


@given(st.ip_addresses(v=4))
@example(ipaddress.IPv4Address("127.0.0.1"))
def test_no_ipv6_form_makes_a_refused_ipv4_address_good(inner: ipaddress.IPv4Address) -> None:
    number = int(inner)
    forms = [
        number,
        0xFFFF << 32 | number,
        0xFFFF << 48 | number,
        0x64_FF9B << 96 | number,
        0x64_FF9B_0001 << 80 | number,
        0x2002 << 112 | number << 80,
        0x2001 << 112 | number << 64 | 0xF7F7F7F7,
        0x2001 << 112 | 0x08080808 << 64 | number ^ 0xFFFFFFFF,
    ]
    everything_v6 = policy("::/0")
    for form in map(ipaddress.IPv6Address, forms):
        assert OPEN.refusal_of(form) is not None
        if OPEN.refusal_of(inner) is not None and int(form) > 1:
            assert everything_v6.refusal_of(form) is not None


@pytest.mark.parametrize(
    ("text", "allow"),
    [
        ("127.0.0.1", ["127.0.0.0/8"]),
        ("10.1.2.3", ["192.168.0.0/16", "10.1.0.0/16"]),
        ("::1", ["::1/128"]),
        ("fd12::1", ["fd12::/48"]),
        ("::ffff:127.0.0.1", ["127.0.0.0/8"]),
        ("64:ff9b::8.8.8.8", ["64:ff9b::/96"]),
        ("64:ff9b::10.0.0.1", ["64:ff9b::/96", "10.0.0.0/8"]),
        ("2002:a00:1::1", ["2002::/16", "10.0.0.0/8"]),
        ("::ffff:10.0.0.1", ["0.0.0.0/0", "::/0"]),
        ("169.254.169.254", ["0.0.0.0/0"]),
    ],
)
def test_an_allowed_network_wins(text: str, allow: list[str]) -> None:
    assert refusal(text, *allow) is None


@pytest.mark.parametrize(
    ("text", "allow", "reason"),
    [
        ("10.2.0.1", "10.1.0.0/16", "private"),
        ("::ffff:10.2.0.1", "10.1.0.0/16", "IPv4-mapped private"),
        ("64:ff9b::127.0.0.1", "64:ff9b::/96", "NAT64 loopback"),
        ("64:ff9b::10.0.0.1", "10.0.0.0/8", "NAT64"),
        ("2002:a00:1::1", "2002::/16", "6to4 private"),
        ("::ffff:127.0.0.1", "::/0", "IPv4-mapped loopback"),
        ("::ffff:0:127.0.0.1", "127.0.0.0/8", "IPv4-translated"),
        ("fe80::1%eth0", "fe80::/10", "IPv6 zone"),
    ],
)
def test_an_allowed_network_opens_no_more_than_itself(text: str, allow: str, reason: str) -> None:
    assert refusal(text, allow) == reason


def test_a_policy_shows_what_it_allows() -> None:
    assert repr(policy("10.0.0.0/8", "::1/128")) == "AddressPolicy(allow='10.0.0.0/8,::1/128', require_https=False)"


def test_networks_are_read_from_a_comma_list() -> None:
    expected: tuple[Network, ...] = (ipaddress.ip_network("10.1.0.0/16"), ipaddress.ip_network("fd12::/48"))
    assert parse_networks(" 10.1.0.0/16, ,fd12::/48,", "NETS") == expected
    assert parse_networks("127.0.0.1", "NETS") == (ipaddress.ip_network("127.0.0.1/32"),)
    assert parse_networks("", "NETS") == ()


def test_every_bad_network_is_named_at_once() -> None:
    text = "10.0.0.1/8,localhost,10.0.0.0/255.0.0.0,::ffff:10.0.0.0/104,fe80::%eth0/64,10.0.0.0/33,127.0.0.0/8,1.2.3.4/"
    with pytest.raises(ConfigurationError) as caught:
        parse_networks(text, "NETS")
    assert caught.value.faults == (
        "NETS: '10.0.0.1/8' has bits set beyond its prefix; write '10.0.0.0/8'",
        "NETS: 'localhost' is not a network; write one such as 10.1.0.0/16 or fd12::/48",
        "NETS: '10.0.0.0/255.0.0.0' is not in CIDR form; write '10.0.0.0/8'",
        "NETS: '::ffff:10.0.0.0/104' is IPv4-mapped; write the IPv4 network",
        "NETS: 'fe80::%eth0/64' is not a network; write one such as 10.1.0.0/16 or fd12::/48",
        "NETS: '10.0.0.0/33' is not a network; write one such as 10.1.0.0/16 or fd12::/48",
        "NETS: '1.2.3.4/' is not a network; write one such as 10.1.0.0/16 or fd12::/48",
    )


def test_a_long_bad_entry_is_shown_in_part() -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_networks("x" * 5000, "NETS")
    assert len(str(caught.value)) < 200


GOOD_HOSTS = [
    *("example.com", "EXAMPLE.com", "a", "localhost", "xn--bcher-kva.example", "my_service", "1.example", "0x7f.example"),
    *("8.8.8.8", "127.0.0.1", "::1", "2606:4700::1111", "2606:4700::ABCD", "::ffff:1.2.3.4", "::ffff:102:304"),
    *(".".join(["a" * 63] * 3 + ["a" * 61]), "a-b.c--d", "1e3", "0xg"),
]  # fmt: skip


@pytest.mark.parametrize("host", GOOD_HOSTS)
def test_a_name_or_a_plain_address_is_a_good_host(host: str) -> None:
    assert host_refusal(host) is None


BAD_HOSTS = {
    "": "no host",
    **dict.fromkeys(
        ["0x7f.1", "2130706433", "127.1", "127.0.1", "0177.0.0.1", "127.0.0.01", "0x7f000001", "017700000001", "1.2.3.4.5"]
        + ["256.1.1.1", "1.2.3.999", "127.0.0.0x1", "0", "00", "0x", "0X7F.0X0.0X0.0X1", "example.1", "a.b.08", "00.0.0.0"],
        "a numeric host that is not a plain IPv4 address",
    ),
    **dict.fromkeys(["127.0.0.1.", "example.com.", "localhost."], "a host with a dot at its end"),
    **dict.fromkeys(["a..b", ".a", "..", "example.com..", "."], "a host with an empty label"),
    **dict.fromkeys(["127%2e0.0.1", "%6cocalhost", "fe80::1%eth0", "::1%25lo"], "a percent sign in the host"),
    **dict.fromkeys(
        ["①②⑦.⓪.⓪.①", "１２７.0.0.1", "127。0。0。1", "lоcalhost", "bücher.example", "٠.example", "ﬁ.example"],
        "a host that is not ASCII; an international name is written in its xn-- form",
    ),
    **dict.fromkeys(
        ["-a.example", "a-.example", "a b", "a@b", "a\\b", "a/b", "a\n", "a]", "a*", "a" * 64],
        "a host that is not a DNS name",
    ),
    **dict.fromkeys(
        ["0:0:0:0:0:0:0:1", "::0001", "0::1", "2606:4700:0:0:0:0:0:1", "::127.0.0.1"],
        "an IPv6 address that is not in its shortest form",
    ),
    **dict.fromkeys(["::g", "1:2", ":::", "v1:a", "::1:", "::ffff:127.1", "::ffff:0177.0.0.1", "::]"], "a host that is not an IPv6 address"),
    ".".join(["a" * 63] * 4): "a host longer than a DNS name can be",
}  # fmt: skip


@pytest.mark.parametrize(("host", "reason"), BAD_HOSTS.items(), ids=map(ascii, BAD_HOSTS))
def test_any_other_spelling_of_a_host_is_refused(host: str, reason: str) -> None:
    assert host_refusal(host) == reason


@given(st.text("0123456789abcdefxX.:%", max_size=20))
@example("127.1")
@example("0x7f.1")
def test_a_good_host_that_the_c_library_reads_as_an_address_is_that_address(host: str) -> None:
    if host_refusal(host) is not None:
        return
    try:
        packed = socket.inet_pton(socket.AF_INET6, host) if ":" in host else socket.inet_aton(host)
    except OSError:
        return
    assert ipaddress.ip_address(host).packed == packed


GOOD_URLS = [
    *("https://example.com", "http://example.com:8080/hook?a[]=1&b=%20", "HTTPS://EXAMPLE.com/", "https://8.8.8.8/x"),
    *("https://[2606:4700::1111]:8443/x", "https://example.com?x=1", "http://example.com:1", "http://e.com:65535/"),
]  # fmt: skip


@pytest.mark.parametrize("url", GOOD_URLS)
def test_a_plain_url_is_good(url: str) -> None:
    check_url(url, OPEN)


BAD_URLS = {
    "http://127.0.0.1/": "loopback",
    "http://[::1]/": "loopback",
    "http://[::ffff:169.254.169.254]/": "IPv4-mapped cloud metadata",
    "http://169.254.169.254/latest/meta-data/": "cloud metadata",
    "http://2130706433/": "a numeric host that is not a plain IPv4 address",
    "http://0x7f.1/": "a numeric host that is not a plain IPv4 address",
    "http://127.1:80/": "a numeric host that is not a plain IPv4 address",
    "http://localhost./": "a host with a dot at its end",
    "http://[fe80::1%25eth0]/": "a percent sign in the host",
    "http://%31%32%37.0.0.1/": "a percent sign in the host",
    "http:///x": "no host",
    "http://": "no host",
    "http://?x": "no host",
    "http://:80/": "no host",
    **dict.fromkeys(["ftp://e.com/", "file:///etc/passwd", "//e.com/", "e.com", "", "http:/e.com", "http:e.com", "://e.com"],
                    "a URL that is neither http nor https"),
    **dict.fromkeys(["http://u:p@e.com/", "http://e.com@127.0.0.1/", "http://@e.com/", "http://e.com:80@127.0.0.1/"],
                    "credentials in the URL"),
    **dict.fromkeys(["http://e.com/#x", "http://e.com#@127.0.0.1/", "http://127.0.0.1#.e.com/"],
                    "a fragment in the URL, which is never sent"),
    **dict.fromkeys(["http://e.com\\@127.0.0.1/", "http://e.com/ x", "http://e.com/\r\nHost: x", "http://e.com/\x00", " http://e.com/",
                     "http://e.com/é", "http://e.com/\t", "http://e.com/{x}", "http://１27.0.0.1/", "http://e.com/x\n"],
                    "a character that does not belong in a URL; percent-encode it"),
    **dict.fromkeys(["http://e.com:/", "http://e.com:0/", "http://e.com:080/", "http://e.com:65536/", "http://e.com:x/",
                     "http://e.com:1:2/", "http://::1/", "http://[::1]x/", "http://[2606:4700::1]:/", "http://e.com:-1/"],
                    "a port that is not a number from 1 to 65535"),
    **dict.fromkeys(["http://[127.0.0.1]/", "http://[::1/", "http://[]/", "http://[e.com]/"],
                    "brackets that do not hold an IPv6 address"),
    "http://e.com/" + "x" * MAX_URL_LENGTH: f"a URL longer than {MAX_URL_LENGTH} characters",
}  # fmt: skip


@pytest.mark.parametrize(("url", "reason"), BAD_URLS.items(), ids=[ascii(url[:60]) for url in BAD_URLS])
def test_a_url_that_is_not_plain_is_refused_with_its_reason(url: str, reason: str) -> None:
    with pytest.raises(AddressRefused) as caught:
        check_url(url, OPEN)
    assert caught.value.reason == reason
    assert str(caught.value) == f"address refused: {reason}"


def test_a_policy_may_demand_https() -> None:
    check_url("https://example.com/", policy(require_https=True))
    with pytest.raises(AddressRefused, match="not https"):
        check_url("http://example.com/", policy(require_https=True))


def test_an_allowed_literal_is_a_good_url() -> None:
    check_url("http://127.0.0.1:8080/", policy("127.0.0.0/8"))
    check_url("http://[::ffff:127.0.0.1]:8080/", policy("127.0.0.0/8"))


@given(st.text("htps:/?#[]@.%\\0127xafe-", max_size=40).map("http://".__add__))
@example("http://e.com:80@127.0.0.1/")
def test_every_parser_agrees_on_the_host_of_a_good_url(url: str) -> None:
    try:
        check_url(url, policy("0.0.0.0/0", "::/0"))
    except AddressRefused:
        return
    split, yarl = urlsplit(url), URL(url, encoded=True)
    assert split.hostname == (yarl.raw_host or "").lower()
    assert (split.port or 80) == yarl.port
    assert split.username is None
    assert yarl.raw_user is None
    assert host_refusal(yarl.raw_host or "") is None


def test_a_bad_url_is_a_fault_that_says_what_may_allow_it() -> None:
    (fault,) = url_faults("https://169.254.169.254/latest", AddressPolicy())
    assert fault.startswith("url: ")
    assert "VOXGATE_FANOUT_ALLOW_NETS" in fault
    assert url_faults("https://hooks.example.com/voice", AddressPolicy()) == []
