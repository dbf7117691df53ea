"""What every route that takes a body looks at alike: header lines, the content type, and no more bytes than it bounds."""

from collections.abc import AsyncIterable, Iterable

from voxgate_core.errors import VoxgateError

__all__ = ["header_values", "is_json_type", "read_bounded"]


def header_values(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    """The values of every line of one header, in their order. ``name`` is in lower case, as ASGI gives all names."""
    return [value for key, value in headers if key == name]


def is_json_type(content_types: list[bytes]) -> bool:
    """Whether the ``Content-Type`` lines of a request say JSON, once, and in no encoding but UTF-8 (RFC 8259 8.1)."""
    if len(content_types) != 1:
        return False
    media_type, _, parameters = content_types[0].decode("latin-1").lower().partition(";")
    if media_type.strip() != "application/json":
        return False
    charset = [value for name, _, value in (part.partition("=") for part in parameters.split(";")) if "charset" in name]
    return all(value.strip().strip('"') == "utf-8" for value in charset)


async def read_bounded(stream: AsyncIterable[bytes], limit: int) -> bytes:
    """A whole body. Raises :class:`VoxgateError` ``body_too_large`` as soon as there are more than ``limit`` bytes."""
    body = bytearray()
    async for chunk in stream:
        body += chunk
        if len(body) > limit:
            raise VoxgateError("body_too_large", details={"limit": limit})
    return bytes(body)
