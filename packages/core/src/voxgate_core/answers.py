"""What a route answers, before anybody decides how it looks on the wire."""

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Answer"]


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer. ``data`` goes into the envelope, ``legacy`` beside it at the top level.

    With ``bare`` set, ``data`` is the whole body: used where another protocol fixes the shape.
    """

    data: Mapping[str, object]
    legacy: Mapping[str, object] = field(default_factory=dict)
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    bare: bool = False
