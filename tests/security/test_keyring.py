"""Key rings: which key signs, which still verify, and what a wrong one is told."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from tests.security.rig import ED, ED_PEM, ED_PUBLIC_PEM, NOW, RING_TEXT, SECRET
from voxgate_core import ConfigurationError
from voxgate_security import KeyRing, KeyState

ONE_LINE_PEM = ED_PEM.strip().replace("\n", "\\n")
ONE_LINE_PUBLIC = ED_PUBLIC_PEM.decode().strip().replace("\n", "\\n")
OTHER = "another-secret-of-more-than-thirty-two-bytes"


def faults(text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        KeyRing.parse(text)
    assert SECRET not in str(caught.value)
    return caught.value.faults


def states(ring: KeyRing) -> dict[str, str]:
    return {key.kid: key.state.value for key in ring}


def test_the_first_key_signs_and_the_others_verify() -> None:
    ring = KeyRing.parse(f" a:{SECRET} , b:{OTHER},")
    assert states(ring) == {"a": "active", "b": "next"}
    assert ring.active.signing == SECRET.encode()
    found = ring.get("b")
    assert found is not None
    assert found.verifying == OTHER.encode()
    assert ring.get("c") is None


def test_states_can_be_written() -> None:
    ring = KeyRing.parse(f"a=next:{SECRET},b=active:{OTHER},c=retired:{SECRET},d=retired@{NOW}:{SECRET}")
    assert states(ring) == {"a": "next", "b": "active", "c": "retired", "d": "retired"}
    assert ring.active.kid == "b"


def test_a_retired_key_verifies_what_was_issued_up_to_its_retirement() -> None:
    ring = KeyRing.parse(f"a:{SECRET},c=retired:{SECRET},d=retired@{NOW}:{SECRET}")
    a, c, d = (ring.get(kid) for kid in "acd")
    assert a is not None
    assert c is not None
    assert d is not None
    assert a.accepts(NOW + 10)
    assert not c.accepts(NOW - 10)
    assert d.accepts(NOW)
    assert not d.accepts(NOW + 1)


def test_a_bare_secret_is_a_ring_of_one() -> None:
    assert states(KeyRing.parse(SECRET)) == {"k1": "active"}


def test_an_ed25519_key_fixes_its_algorithm() -> None:
    ring = KeyRing.parse(f"e:{ONE_LINE_PEM},p:{ONE_LINE_PUBLIC}")
    assert ring.active.algorithm == "EdDSA"
    public = ring.get("p")
    assert public is not None
    assert public.signing is None
    assert states(KeyRing.parse(f"e:{ED_PEM}")) == {"e": "active"}


def test_a_file_is_read_by_who_may_read_files() -> None:
    ring = KeyRing.parse("e:file:/keys/e.pem", read=lambda path: ED_PEM if path == "/keys/e.pem" else "")
    assert ring.active.algorithm == "EdDSA"
    assert ring.export() == "e=active:file:/keys/e.pem"


def _pem_of_another_kind() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode().replace("\n", "\\n")


def _other_edwards_curve() -> str:
    key = ed448.Ed448PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode().replace("\n", "\\n")


def _encrypted() -> str:
    return (
        ED.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")).decode().replace("\n", "\\n")
    )


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "no key is set"),
        (" , ", "no key is set"),
        ("short", "5 bytes"),
        ("a:short", "5 bytes"),
        (":" + SECRET, "kid"),
        (f"a b:{SECRET}", "kid"),
        (f"a:{SECRET},nocolon", "kid"),
        (f"a=old:{SECRET}", "state"),
        (f"a=:{SECRET}", "state"),
        (f"a=next@5:{SECRET}", "state"),
        (f"a=retired@soon:{SECRET}", "moment"),
        (f"a=retired@-1:{SECRET}", "moment"),
        (f"a=retired@:{SECRET}", "moment"),
        (f"a=retired:{SECRET}", "every key is retired"),
        (f"a=active:{SECRET},b=active:{OTHER}", "more than one key is active"),
        (f"a:{SECRET},a:{OTHER}", "used twice"),
        (f"p:{ONE_LINE_PUBLIC}", "public key"),
        ("e:-----BEGIN PRIVATE KEY-----\\nAAAA\\n-----END PRIVATE KEY-----", "can't be read"),
        ("e:-----BEGIN PUBLIC KEY-----\\nAAAA\\n-----END PUBLIC KEY-----", "can't be read"),
        (f"e:{_pem_of_another_kind()}", "another kind"),
        (f"e:{_other_edwards_curve()}", "another kind"),
        (f"e:{_encrypted()}", "can't be read"),
        ("a:ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQC7", "everybody knows"),
        ("e:file:/keys/e.pem", "files are not read here"),
    ],
)
def test_a_wrong_ring_is_told_why(text: str, word: str) -> None:
    assert any(word in fault for fault in faults(text)), faults(text)


def test_every_fault_is_listed() -> None:
    assert len(faults(f"a:short,b=x:{SECRET},c:{SECRET},c:{OTHER}")) == 3


def test_generated_keys_differ_and_are_long_enough() -> None:
    first, second = KeyRing.generate(), KeyRing.generate()
    assert first.export() != second.export()
    assert states(KeyRing.parse(first.export())) == {first.active.kid: "active"}


def test_a_rotation_goes_through_all_states_and_forgets_spent_keys() -> None:
    ring = KeyRing.parse(f"a:{SECRET}").prepared()
    (upcoming,) = (key.kid for key in ring if key.state is KeyState.NEXT)
    ring = ring.rotated(retire_at=NOW, now=NOW)
    assert states(ring) == {upcoming: "active", "a": "retired"}
    again = ring.rotated(retire_at=NOW + 500, now=NOW + 500)
    assert list(states(again).values()) == ["active", "retired", "retired"]
    later = again.rotated(retire_at=NOW + 700, now=NOW + 700)
    assert "a" not in states(later)
    leaked = ring.rotated(retire_at=None, now=NOW)
    assert f"{upcoming}=retired:" in leaked.export()
    assert upcoming not in states(leaked.rotated(retire_at=NOW, now=NOW))
    for changed in (ring, again, later, leaked):
        assert states(KeyRing.parse(changed.export())) == states(changed)


def test_a_public_next_key_is_kept_and_not_promoted() -> None:
    ring = KeyRing.parse(f"a:{SECRET},p:{ONE_LINE_PUBLIC}").rotated(retire_at=NOW, now=NOW)
    assert states(ring)["p"] == "next"


def test_no_repr_shows_a_secret() -> None:
    ring = KeyRing.parse(RING_TEXT)
    shown = repr(ring) + "".join(repr(key) for key in ring)
    assert "main=active" in shown
    for secret in (SECRET, "PRIVATE KEY", "retired-and-nobody"):
        assert secret not in shown
