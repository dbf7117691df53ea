"""For mkdocstrings, by mkdocs.yml: docstrings name things by Sphinx's roles, and the site shows Markdown.

A name with a role becomes that name as code, with a link where the site has a heading for it.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

from griffe import Alias, Extension, Module, NameResolutionError, Object

__all__ = ["Roles"]

_IDLE_LABELS: Final = frozenset({"module-attribute", "class-attribute", "instance-attribute"})
"""Beside a heading these say nothing that the line below it does not show."""

_ROLE: Final = re.compile(r":(?:attr|class|data|func|meth|mod):`([^`]+)`")


class Roles(Extension):
    """Rewrites every docstring of a package, once the whole package is known and names can be looked up."""

    def on_package(self, *, pkg: Module, **kwargs: Any) -> None:
        for part in _parts(pkg):
            part.labels -= _IDLE_LABELS
            if part.docstring is not None:
                part.docstring.value = without_roles(part.docstring.value, part)


def without_roles(text: str, part: Object) -> str:
    """The docstring of ``part`` in Markdown."""
    return _ROLE.sub(lambda match: _link(match[1], part), text)


def _link(name: str, part: Object) -> str:
    first, dot, rest = name.partition(".")
    try:
        path = part.resolve(first) + dot + rest
    except NameResolutionError:
        path = name
    # Optional: what is not public is on no page, and stays plain code.
    return f'<autoref optional identifier="{path}"><code>{name}</code></autoref>'


def _parts(part: Object) -> Iterator[Object]:
    yield part
    for member in part.members.values():
        if not isinstance(member, Alias):
            yield from _parts(member)
