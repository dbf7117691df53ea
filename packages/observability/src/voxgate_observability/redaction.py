"""Secrets taken out of text, whatever wrote it: a log message, a traceback, a header dump, a URL.

Each rule looks for shapes that only credentials have. A rule runs only where its markers occur, which a plain
substring search finds, so that an ordinary line costs a microsecond. Every pattern takes time linear in the
text: a greedy run of one character class with nothing required after it, or possessive parts.
"""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

__all__ = ["MIN_SECRET", "REDACTED", "Redactor", "redact"]

REDACTED = "[redacted]"
"""What stands where a secret stood. It holds nothing that JSON would have to escape."""

MIN_SECRET = 4
"""Characters of the shortest secret that can be registered; shorter ones occur in any text by chance."""

KEY_SHOWN = 4
"""Characters of a ``vk_`` key that stay, so that an operator can tell keys apart."""

# A secret begins at the edge of a word, or after an escape of JSON's such as \n or \u001b, whose last
# character would otherwise look like a part of the word.
_EDGE = r"(?:(?<![A-Za-z0-9])|(?<=\\[nrtbf])|(?<=\\u[0-9a-fA-F]{4}))"

# What a header or setting of this name holds is secret whatever it looks like.
_NAMES = (
    "proxy-authorization|authorization|set-cookie|cookie|(?:x-|openai-)?api[-_]?key|openai_api_key|jwt_secret"
    "|client_secret|password|passwd|access_token|refresh_token|id_token"
)
_TOKEN = r"[A-Za-z0-9._~+/=-]"


@dataclass(frozen=True, slots=True)
class _Rule:
    """``markers`` are lower case: one of them is in every text, lowered, in which ``apply`` finds something."""

    markers: tuple[str, ...]
    apply: Callable[[str], str]


def _substitute(pattern: str, replacement: str | Callable[[re.Match[str]], str]) -> Callable[[str], str]:
    compiled = re.compile(pattern)

    def apply(text: str) -> str:
        return compiled.sub(replacement, text)

    return apply


def _named_value(match: re.Match[str]) -> str:
    lead = match["lead"]
    # A bare number in a JSON document: the line must stay JSON.
    bare = lead.rstrip().endswith('":') and not lead.rstrip().endswith('\\":')
    return f'{lead}"{REDACTED}"' if bare else lead + REDACTED


_JWT_RUN = re.compile(r"([A-Za-z0-9_-]++)(?:\.[A-Za-z0-9_-]++(\.[A-Za-z0-9_-]*+)?)?")


def _without_tokens(text: str) -> str:
    """Take out JWTs: three dotted base64url runs, the first of a JSON object (it begins ``eyJ``)."""
    pieces: list[str] = []
    done = 0
    start = text.find("eyJ")
    while start >= 0:
        run = _JWT_RUN.match(text, start)
        assert run is not None
        if run[2] is None:
            # Not three segments. Whatever else begins inside this first segment has the same end, so skip it.
            start = text.find("eyJ", run.end(1))
            continue
        pieces += [text[done:start], REDACTED]
        done = run.end()
        start = text.find("eyJ", done)
    return "".join([*pieces, text[done:]])


_RULES = (
    _Rule(
        ("bearer",),
        _substitute(
            r"(?i:(bearer))((?:[ \t]|%20|\+){1,4})(?!(?i:tokens?|credentials?|realm|auth|keys?)\b)" + _TOKEN + "+",
            rf"\1\2{REDACTED}",
        ),
    ),
    _Rule(("openai-insecure-api-key.",), _substitute(rf"(?i:(openai-insecure-api-key\.)){_TOKEN}+", rf"\1{REDACTED}")),
    _Rule(("bearer.",), _substitute(rf"(?i:(bearer\.)){_TOKEN}{{16,}}+", rf"\1{REDACTED}")),
    _Rule(
        ("authorization", "cookie", "api-key", "api_key", "apikey", "secret", "passw", "_token"),
        _substitute(
            rf"(?i:(?P<lead>(?:{_NAMES})"
            r"(?:[\"'\\]{0,4}\s{0,4}[:=]\s{0,4}|\\?[\"']\s{0,4},\s{0,4})"
            r"(?!\[redacted\])[\[(]?+(?:b(?=[\"']))?+[\\\"']{0,4}+(?:(?:basic|bearer|digest|token)\s{1,4})?+))"
            r"[A-Za-z0-9._~+/=%$!@#&*^-][^\s\"',;})\\]*+",
            _named_value,
        ),
    ),
    _Rule(
        ("?",),
        _substitute(
            r"([?&](?i:token|key|api_?key|access_token|auth|secret|signature|sig|jwt)=)[^&\s\"'\\#]++", rf"\1{REDACTED}"
        ),
    ),
    _Rule(("eyj",), _without_tokens),
    _Rule(("vk_",), _substitute(rf"{_EDGE}(vk_[A-Za-z0-9_-]{{{KEY_SHOWN}}})[A-Za-z0-9_-]{{4,}}+", rf"\1{REDACTED}")),
    _Rule(("ek_",), _substitute(_EDGE + r"ek_[A-Za-z0-9_.-]{6,}+", f"ek_{REDACTED}")),
    _Rule(("sk-",), _substitute(_EDGE + r"sk-[A-Za-z0-9_-]{12,}+", f"sk-{REDACTED}")),
    _Rule(("whsec_",), _substitute(_EDGE + r"whsec_[A-Za-z0-9_+/=-]{4,}+", f"whsec_{REDACTED}")),
)


class Redactor:
    """Redacts by the rules, and every secret registered by value: a JWT secret has no shape to know it by.

    Empty secrets are settings that are not set, and skipped. Raises ``ValueError`` for one under
    :data:`MIN_SECRET` characters. Neither that error nor ``repr`` shows a secret.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms: set[str] = set()
        for secret in secrets:
            if not secret:
                continue
            if len(secret) < MIN_SECRET:
                raise ValueError(f"a secret to redact must have at least {MIN_SECRET} characters")
            forms |= _forms(secret)
        # Longest first: a secret may hold another one.
        self._secrets = tuple(sorted(forms, key=lambda form: (-len(form), form)))

    def __repr__(self) -> str:
        return f"<Redactor of {len(self._secrets)} registered forms>"

    def redact(self, text: str) -> str:
        """``text`` without its secrets. Takes time linear in the text; redacting twice changes nothing more."""
        for secret in self._secrets:
            text = text.replace(secret, REDACTED)
        lowered = text.lower()
        for rule in _RULES:
            if any(marker in lowered for marker in rule.markers):
                text = rule.apply(text)
        return text


def redact(text: str) -> str:
    """``text`` without what the rules find, for callers that have no secrets to register."""
    return _PLAIN.redact(text)


def _forms(secret: str) -> set[str]:
    """A secret as it may stand in a line: as it is, inside JSON, inside a ``repr``, and that inside JSON."""
    forms = {secret, repr(secret)[1:-1]}
    escaped = {json.dumps(form, ensure_ascii=ascii_only)[1:-1] for form in forms for ascii_only in (True, False)}
    return forms | escaped


_PLAIN = Redactor()
