"""Where the database is. Pure, and free of database code: the settings are judged without it."""

from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from voxgate_core import ConfigurationError

__all__ = ["FILE_NAME", "locate"]

FILE_NAME: Final = "conversations.sqlite3"
"""The database's file in the data folder, when no other is set."""

SETTING: Final = "VOXGATE_DATABASE_URL"


def locate(data_dir: Path, url: str) -> str:
    """The URL of the database: ``url``, or that of the file in ``data_dir`` when it is empty.

    Raises :class:`ConfigurationError`, which never shows the URL: it may hold a password.
    """
    if not url:
        return f"sqlite:///{data_dir.absolute() / FILE_NAME}"
    try:
        parts = urlsplit(url)
        scheme, path = parts.scheme, parts.path
    except ValueError:
        raise ConfigurationError([f"{SETTING} is not a URL"]) from None
    if scheme in ("postgres", "postgresql", "postgresql+asyncpg"):
        return f"postgresql{url[len(scheme) :]}"
    if (
        scheme in ("sqlite", "sqlite+aiosqlite")
        and not parts.netloc
        and path.startswith("/")
        and len(path) > 1
        and not parts.query
    ):
        return f"sqlite://{path}"
    raise ConfigurationError(
        [f"{SETTING} must be postgresql://user:password@host/database or sqlite:///path/of/the/file"]
    )
