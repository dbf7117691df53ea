"""API keys: made once, stored as a hash, told apart in constant time."""

import hashlib

import pytest

from voxgate_core import ConfigurationError
from voxgate_security import ApiKeys, Role, new_key
from voxgate_security.apikeys import shown

DIGEST = hashlib.sha256(b"vk_x").hexdigest()


def faults(text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        ApiKeys.parse(text)
    return caught.value.faults


def test_a_new_key_opens_and_only_its_hash_is_stored() -> None:
    plain, stored = new_key("backend", Role.ISSUER)
    name, role, digest = stored.split(":")
    assert (name, role, digest) == ("backend", "issuer", hashlib.sha256(plain.encode()).hexdigest())
    assert plain.startswith("vk_")
    assert len(plain) == 46
    found = ApiKeys.parse(stored).authenticate(plain)
    assert found is not None
    assert (found.name, found.role) == ("backend", Role.ISSUER)


def test_keys_are_told_apart_and_strangers_refused() -> None:
    pairs = [new_key(f"k{n}", "operator") for n in range(5)]
    keys = ApiKeys.parse(", ".join(stored for _, stored in pairs) + ",")
    assert len(keys) == 5
    for position, (plain, _) in enumerate(pairs):
        found = keys.authenticate(plain)
        assert found is not None
        assert found.name == f"k{position}"
        assert keys.authenticate(plain[:-1]) is None
        assert keys.authenticate(plain.upper()) is None
    for stranger in ("", "vk_", "vk_" + "x" * 43, "\ud800", pairs[0][1]):
        assert keys.authenticate(stranger) is None


def test_no_keys_are_no_fault_and_open_nothing() -> None:
    keys = ApiKeys.parse("")
    assert len(keys) == 0
    assert keys.authenticate("vk_x") is None


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("x", "role"),
        (f":issuer:{DIGEST}", "name"),
        (f"a b:issuer:{DIGEST}", "name"),
        (f"{'n' * 65}:issuer:{DIGEST}", "name"),
        (f"a:user:{DIGEST}", "role"),
        (f"a:admin:{DIGEST}", "role"),
        ("a:issuer:vk_pasted", "SHA-256"),
        (f"a:issuer:{DIGEST.upper()}", "SHA-256"),
        (f"a:issuer:{DIGEST}:x", "SHA-256"),
        (f"a:issuer:{DIGEST},a:issuer:{'0' * 64}", "used twice"),
        (f"a:issuer:{DIGEST},b:operator:{DIGEST}", "listed twice"),
    ],
)
def test_a_wrong_list_is_told_why_and_never_repeats_a_key(text: str, word: str) -> None:
    found = faults(text)
    assert word in "".join(found)
    assert DIGEST not in "".join(found)
    assert "vk_pasted" not in "".join(found)


def test_every_fault_is_listed() -> None:
    assert len(faults(f"a:x:{DIGEST},:issuer:{DIGEST},b:issuer:0")) == 3


def test_a_key_of_no_possible_name_or_role_is_not_made() -> None:
    for name, role in (("a:b", "issuer"), ("", "issuer"), ("a", "root"), ("a", "user")):
        with pytest.raises(ConfigurationError):
            new_key(name, role)


def test_reprs_and_logs_hold_no_key() -> None:
    plain, stored = new_key("backend", "issuer")
    keys = ApiKeys.parse(stored)
    text = repr(keys) + repr(keys.authenticate(plain))
    assert plain not in text
    assert stored.split(":")[2] not in text
    assert bytes.fromhex(stored.split(":")[2]).hex() not in text
    assert shown(plain) == plain[:8] + "…"


def test_roles_say_what_they_may_do() -> None:
    assert [role.issues_for_others for role in Role] == [False, True, True]
    assert [role.operates for role in Role] == [False, False, True]
