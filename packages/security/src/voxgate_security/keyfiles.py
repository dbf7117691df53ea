"""Reads a key ring whose entries may name files."""

from pathlib import Path

from voxgate_security.keyring import KeyRing

__all__ = ["load_keyring"]


def load_keyring(text: str) -> KeyRing:
    """:meth:`KeyRing.parse`, reading ``file:<path>`` entries from disk. Raises :class:`ConfigurationError`."""
    return KeyRing.parse(text, read=lambda path: Path(path).read_text(encoding="utf-8"))
