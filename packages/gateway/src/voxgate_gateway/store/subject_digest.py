"""How an audit line names a subject without telling who it is."""

from hashlib import sha256

__all__ = ["subject_digest"]


def subject_digest(subject: str) -> str:
    """SHA-256 in hex. Whoever knows the subject can find its lines; whoever does not has to guess it."""
    return sha256(subject.encode("utf-8", "replace")).hexdigest()
