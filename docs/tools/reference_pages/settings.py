"""The settings: a page, and an example of a file for each environment."""

from collections.abc import Iterator
from typing import Final

from pydantic import SecretStr

from reference_pages.markdown import heading, table
from voxgate_core import Environment
from voxgate_gateway.settings import Settings

__all__ = ["INTERNAL", "examples", "settings"]

EXAMPLE_ORIGINS: Final = {
    Environment.PREVIEW: "https://preview.voice.example.com",
    Environment.PROD: "https://voice.example.com",
}
"""Where the pages of a deployment are, in the examples and in docs/SECURITY.md."""

INTERNAL: Final = ("VOXGATE_WORKER",)
"""Settings that a gateway gives to its own workers."""


def settings() -> Iterator[str]:
    """Every environment variable the gateway reads."""
    yield from heading("Settings")
    yield "The gateway reads these environment variables, and those that `fanout.toml` names for its secrets. An empty one"
    yield "counts as not set."
    yield "`voxgate config check` lists every fault at once; `voxgate config show` prints what is in force, secrets only"
    yield "as a fingerprint."
    yield ""
    rows = []
    for field in Settings.model_fields.values():
        if field.alias in INTERNAL:
            continue
        default = field.default
        if isinstance(default, SecretStr):
            default = default.get_secret_value()
        shown = str(default).lower() if isinstance(default, bool) else str(default)
        rows.append((f"`{field.alias}`", f"`{shown}`" if shown else "not set", str(field.description)))
    yield from table(("variable", "default", "meaning"), rows)


def example(environment: Environment) -> Iterator[str]:
    """The settings of one environment as a file for a shell or systemd."""
    yield f"# Settings of a {environment} gateway, all of them. Written by docs/tools/reference.py from the code."
    yield "# Copy it to .env, take the # from what you set, and ask: set -a; . ./.env; set +a; voxgate config check"
    yield ""
    yield f"VOXGATE_ENV={environment}"
    if environment in EXAMPLE_ORIGINS:
        yield f"ALLOWED_ORIGINS={EXAMPLE_ORIGINS[environment]}"
    for field in Settings.model_fields.values():
        given = ("VOXGATE_ENV", *(("ALLOWED_ORIGINS",) if environment in EXAMPLE_ORIGINS else ()))
        if field.alias in (*given, *INTERNAL):
            continue
        default = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
        shown = str(default).lower() if isinstance(default, bool) else "" if default is None else str(default)
        yield ""
        yield f"# {field.description}"
        yield f"# {field.alias}={shown}"


def examples() -> dict[str, str]:
    """The whole text of each example of settings, by its name in the repository's root."""
    names = {Environment.DEV: ".env.example"} | {e: f".env.{e}.example" for e in EXAMPLE_ORIGINS}
    return {name: "\n".join(example(environment)) + "\n" for environment, name in names.items()}
