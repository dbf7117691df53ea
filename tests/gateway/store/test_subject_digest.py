"""The digest of a subject: told only to those who know whom to ask for."""

from hashlib import sha256

from voxgate_gateway.store.subject_digest import subject_digest


def test_a_subject_is_named_by_its_sha256() -> None:
    assert subject_digest("ada") == sha256(b"ada").hexdigest()
    assert subject_digest("ada") != subject_digest("Ada")


def test_half_a_surrogate_pair_has_a_digest_too() -> None:
    assert len(subject_digest("\ud800")) == 64
