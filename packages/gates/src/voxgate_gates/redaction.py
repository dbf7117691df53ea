"""Keeps secrets out of everything a run writes. Pure.

Two nets: the exact secrets the run knows (and the forms they take inside JSON, a URL or base64), and the shapes
that credentials of this kind have, for those it never learned.
"""

import json
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

__all__ = ["ISSUER_KEY", "KEY", "MIN_GIVEN", "TOKEN", "Redactor", "shell_quote"]

KEY: Final = "$VOXGATE_KEY"
"""Stands for the API key, in text and in commands, where a shell puts the real one back."""

ISSUER_KEY: Final = "$VOXGATE_ISSUER_KEY"
"""Stands for the key that may only issue tokens."""

TOKEN: Final = "$TOKEN"
"""Stands for a session token, likewise."""

MIN_SECRET: Final = 4
"""Characters below which a secret is not hidden: replacing every ``a`` would hide the report instead."""

MIN_GIVEN: Final = 16
"""The same for what a target gave us: one that gives out ``pass`` for a token must not blank the report."""

_SHAPES: Final = (
    (re.compile(r"(?:ek_)?eyJ[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*){0,2}"), TOKEN),
    (re.compile(r"\bek_[A-Za-z0-9_.-]{8,}"), TOKEN),
    (re.compile(r"\bvk_[A-Za-z0-9_-]{8,}"), KEY),
    (re.compile(r"\bsk-[A-Za-z0-9_-]{8,}"), "$OPENAI_API_KEY"),
    # Bounded and possessive: what a target answers is searched too, and must not cost more than its length.
    (re.compile(r"(?<=://)[^/@\s\"':]{0,256}+:[^/@\s\"']{0,256}+(?=@)"), "$USERINFO"),
)

_PLACEHOLDER = re.compile(r"\$(?:VOXGATE_KEY|VOXGATE_ISSUER_KEY|TOKEN|SECRET|OPENAI_API_KEY|USERINFO)\b")


class Redactor:
    """Replaces secrets by placeholders. Secrets may be added at any time; none is ever shown by ``repr``."""

    def __init__(self, secrets: Iterable[tuple[str, str]] = ()) -> None:
        self._forms: dict[str, str] = {}
        for secret, placeholder in secrets:
            self.hide(secret, placeholder)

    def hide(self, secret: str, placeholder: str = "$SECRET") -> None:
        """Know one more secret, in the clear and as it looks escaped or encoded."""
        if len(secret) < MIN_SECRET:
            return
        raw = secret.encode("utf-8", "surrogatepass")  # a target may give out what no text can hold
        forms = (
            secret,
            json.dumps(secret)[1:-1],
            quote(raw, safe=""),
            b64encode(raw).decode().rstrip("="),
            urlsafe_b64encode(raw).decode().rstrip("="),
        )
        self._forms.update((form, placeholder) for form in forms)

    def text(self, text: str) -> str:
        """The text with every known secret and everything shaped like one replaced."""
        # Longest first: a token that holds another secret as its prefix must go whole.
        for form in sorted(self._forms, key=len, reverse=True):
            text = text.replace(form, self._forms[form])
        for shape, placeholder in _SHAPES:
            text = shape.sub(placeholder, text)
        return text

    def finds(self, text: str) -> bool:
        """Whether one of the exact secrets, in any form, stands in the text."""
        return any(form in text for form in self._forms)

    def __repr__(self) -> str:
        return f"<Redactor knowing {len(self._forms)} forms>"


def shell_quote(word: str) -> str:
    """One word for a POSIX shell. Placeholders stay live inside double quotes; everything else is literal."""
    if not _PLACEHOLDER.search(word):
        if re.fullmatch(r"[A-Za-z0-9_@%+=:,./-]+", word):
            return word
        return "'" + word.replace("'", "'\"'\"'") + "'"
    quoted = []
    position = 0
    for found in _PLACEHOLDER.finditer(word):
        quoted += [_escape(word[position : found.start()]), found.group()]
        position = found.end()
    return '"' + "".join((*quoted, _escape(word[position:]))) + '"'


def _escape(text: str) -> str:
    return re.sub(r'([\\"$`])', r"\\\1", text)
