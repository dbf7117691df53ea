import pytest

from tests.gates.samples import SECRET
from voxgate_gates import Need, Routes, Target, TargetError
from voxgate_gates.target import NotOffered


@pytest.mark.parametrize(
    "url",
    ["", "host", "ftp://h", "http://", "http://h:99999", "http://u:p@h", "http://h/?a=1", "http://h/#f", "http://[::1"],
)
def test_a_url_that_can_not_be_judged_is_refused_with_a_sentence(url: str) -> None:
    with pytest.raises(TargetError) as caught:
        Target(url)
    assert " " in str(caught.value)
    assert "u:p" not in str(caught.value)


def test_an_unknown_environment_is_refused() -> None:
    with pytest.raises(TargetError, match="dev, preview, prod"):
        Target("http://h", "staging")


@pytest.mark.parametrize(("environment", "seconds"), [("dev", 600), ("preview", 300), ("prod", 300)])
def test_the_environment_bounds_a_token(environment: str, seconds: int) -> None:
    assert Target("http://h", environment).token_ttl == seconds


def test_urls_are_built_under_the_base() -> None:
    target = Target("https://voice.example.com:8443/base/")
    assert target.http_url("/x") == "https://voice.example.com:8443/base/x"
    assert target.ws_url("/x") == "wss://voice.example.com:8443/base/x"
    assert (target.host, target.port, target.is_tls) == ("voice.example.com", 8443, True)


def test_ports_default_by_scheme() -> None:
    assert Target("http://h").port == 80
    assert Target("https://h").port == 443
    assert Target("http://h").ws_url("/r") == "ws://h/r"


@pytest.mark.parametrize(
    ("url", "loopback"),
    [("http://127.0.0.9:1", True), ("http://[::1]:1", True), ("http://localhost", True), ("http://voice.test", False)],
)
def test_loopback_is_known(url: str, loopback: bool) -> None:
    assert Target(url).is_loopback is loopback


def test_what_is_lacking_is_listed_in_order() -> None:
    target = Target("http://h", key="k" * 8)
    assert target.lacks(frozenset(Need)) == [
        Need.ISSUER, Need.ORIGIN, Need.OTHER_ORIGIN, Need.PHP, Need.REMOTE_PHP, Need.COMMAND, Need.PROJECT,
        Need.COVERAGE, Need.SITE,
    ]  # fmt: skip
    assert target.lacks(frozenset({Need.KEY})) == []
    whole = Target("http://h", php="http://127.0.0.1:1", remote_php="https://php.test/app/", command=("voxgate",))
    assert whole.lacks(frozenset({Need.PHP, Need.REMOTE_PHP, Need.COMMAND})) == []
    assert whole.remote_php == "https://php.test/app"


def test_the_excuse_says_how_to_get_what_is_lacking() -> None:
    assert Target("http://h").excuse([Need.KEY, Need.ORIGIN]) == "needs an API key and an allowed origin"
    target = Target("http://h", php_absent="php is not installed: apt-get install php-cli")
    assert target.excuse([Need.PHP]) == "needs the PHP shim: php is not installed: apt-get install php-cli"


@pytest.mark.parametrize("name", ["php", "remote_php"])
def test_a_php_base_is_held_to_the_same_rules(name: str) -> None:
    with pytest.raises(TargetError, match="PHP"):
        Target("http://h", **{name: "http://user:word@php.test"})  # type: ignore[arg-type] # either field, by name


def test_secrets_are_in_no_repr_and_in_no_redacted_text() -> None:
    target = Target(
        "http://h", key=SECRET, issuer_key="issuer-key", secrets=("signing-secret",), remote_php_key="key-of-php"
    )
    for secret in (SECRET, "issuer-key", "signing-secret", "key-of-php"):
        assert secret not in repr(target)
        assert secret not in target.redactor().text(f"x {secret} y")
    assert target.redactor().text(f"{SECRET} issuer-key signing-secret") == "$VOXGATE_KEY $VOXGATE_ISSUER_KEY $SECRET"


def test_a_route_that_is_not_offered_has_no_url() -> None:
    target = Target("http://h", routes=Routes(revoke="", native=""))
    for call in (target.http_url, target.ws_url):
        for path in ("", "?token=x"):
            with pytest.raises(NotOffered, match="is said not to have: revoke, native"):
                call(path)
    assert target.http_url(target.routes.token) == "http://h/api/realtime/token"


def test_a_url_that_a_terminal_would_obey_is_refused() -> None:
    for url in ("http://h/\x1b]0;owned\x07", "http://h/\u202e", "http://exa\x7fmple"):
        with pytest.raises(TargetError, match="can't be shown"):
            Target(url)
