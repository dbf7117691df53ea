"""Answers a turn by the rules of ``donna_rules.json``: the first that fits. The same turn, the same answer. Pure."""

import re
from dataclasses import dataclass
from typing import Any, Final

from voxgate_responder.endpoints.table import load_shared

__all__ = ["Reply", "reply_to"]


@dataclass(frozen=True, slots=True)
class Reply:
    """``intent`` names the rule that fitted; give it back with the next turn, which may depend on it."""

    reply: str
    intent: str
    suggestions: tuple[str, ...]


_RULES: Final = load_shared("donna_rules")

# Words are of ASCII letters and digits, so that PHP and Python split every text alike.
_words: Final = re.compile(r"[a-z0-9]+").findall
_TO_LOWER: Final = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")


def reply_to(text: str, previous_intent: str | None = None) -> Reply:
    """What Donna says to ``text``, after an answer with ``previous_intent``."""
    line = f" {' '.join(_words(text.translate(_TO_LOWER)))} "
    for rule in _RULES["rules"]:
        if "after" in rule and previous_intent not in rule["after"]:
            continue
        for phrase in rule["phrases"]:
            _, found, after = line.partition(f" {phrase} ")
            if not found:
                continue
            if not rule.get("capture", False):
                return _said(rule, rule["reply"])
            word = after.partition(" ")[0]
            if word:
                return _said(rule, rule["reply"].replace("{word}", word.capitalize()))
    return _said(_RULES["otherwise"], _RULES["otherwise"]["reply"])


def _said(rule: dict[str, Any], reply: str) -> Reply:
    return Reply(reply, rule["intent"], tuple(rule["suggestions"]))
