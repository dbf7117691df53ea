import base64
from pathlib import Path

import nats.errors
import nkeys  # type: ignore[import-untyped]
import pytest
import trustme

from tests.backplane.creds import new_account
from voxgate_backplane.credentials import MAX_CREDS_BYTES, Credentials, read_servers
from voxgate_core import ConfigurationError


@pytest.mark.parametrize(
    ("text", "urls"),
    [
        ("nats://a:4222", ["nats://a:4222"]),
        (" nats://a , tls://b:1,", ["nats://a", "tls://b:1"]),
        ("nats://user:pass@[::1]:4222", ["nats://user:pass@[::1]:4222"]),
    ],
)
def test_a_comma_list_of_urls_is_read(text: str, urls: list[str]) -> None:
    assert read_servers(text) == urls


@pytest.mark.parametrize(
    "text",
    ["", " , ", "a:4222", "http://a", "ws://a", "nats://", "nats://:4222", "nats://u:s3cret/x@a:1", "nats://a:s3cret"]
    + ["nats://a:0", "nats://a:70000", "nats://a,b", "nats://[s3cret"],
)
def test_what_is_no_list_of_urls_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ConfigurationError, match="VOXGATE_NATS_URL") as refused:
        read_servers(text)
    assert "s3cret" not in str(refused.value)


def test_a_creds_file_gives_the_token_and_signs(tmp_path: Path) -> None:
    account = new_account()
    file = tmp_path / "user.creds"
    file.write_text(account.creds)
    credentials = Credentials(creds_file=file)
    credentials.check()
    assert credentials.token().decode() in account.creds
    signature = base64.b64decode(credentials.sign("nonce"))
    assert nkeys.from_seed(bytearray(account.seed.encode())).verify(b"nonce", signature)


def test_a_renewed_creds_file_is_read_anew(tmp_path: Path) -> None:
    file = tmp_path / "user.creds"
    credentials = Credentials(creds_file=file)
    tokens = []
    for _ in range(2):
        file.write_text(new_account().creds)
        tokens.append(credentials.token())
    assert tokens[0] != tokens[1]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "-----BEGIN NATS USER JWT-----",
        "-----BEGIN NATS USER JWT-----\n\n",
        "-----BEGIN NATS USER JWT-----\nabc\n",
        "-----BEGIN NATS USER JWT-----\nabc\n-----BEGIN USER NKEY SEED-----\n",
        "-----BEGIN NATS USER JWT-----\nabc\n-----BEGIN USER NKEY SEED-----\nSECRETSEED\n",
        "-----BEGIN NATS USER JWT-----\nabc\n-----BEGIN USER NKEY SEED-----\nSUAsecretäseed\n",
        "x\n" * MAX_CREDS_BYTES,
    ],
)
def test_a_file_that_is_no_creds_file_is_refused_by_its_name(tmp_path: Path, text: str) -> None:
    file = tmp_path / "user.creds"
    file.write_text(text)
    credentials = Credentials(creds_file=file)
    with pytest.raises(ConfigurationError, match=str(file)) as refused:
        credentials.check()
    assert "secret" not in str(refused.value).lower()
    with pytest.raises(nats.errors.InvalidUserCredentialsError) as failed:
        credentials.sign("nonce")
    assert "secret" not in repr(failed.value.__cause__).lower()
    assert "secret" not in repr(failed.value.__context__).lower()


def test_every_file_that_can_not_be_read_is_named_at_once(tmp_path: Path) -> None:
    credentials = Credentials(creds_file=tmp_path / "none.creds", ca_file=tmp_path / "none.pem")
    with pytest.raises(ConfigurationError) as refused:
        credentials.check()
    assert [name for fault in refused.value.faults for name in ("none.creds", "none.pem") if name in fault] == [
        "none.creds",
        "none.pem",
    ]


def test_a_ca_file_without_a_certificate_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("hello")
    with pytest.raises(ConfigurationError, match=str(file)):
        Credentials(ca_file=file).check()
    trustme.CA().cert_pem.write_to_path(str(file))
    Credentials(ca_file=file).check()


def test_a_password_is_not_in_the_repr() -> None:
    assert "s3cret" not in repr(Credentials(user="u", password="s3cret"))


def test_without_a_creds_file_there_is_no_token() -> None:
    with pytest.raises(nats.errors.InvalidUserCredentialsError):
        Credentials().token()
