"""The blocks of the documentation, as tests see them."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

__all__ = ["DOCS", "ROOT", "Block", "console_blocks"]

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"

_BLOCK = re.compile(r"(?:<!-- not run: ([^>]+?) -->\n)?^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A console block: its commands without their output, and the reason why it is not run, if there is one."""

    commands: tuple[str, ...]
    reason: str


def console_blocks(text: str) -> list[Block]:
    return [Block(tuple(_commands(body)), reason) for reason, body in _BLOCK.findall(text)]


def _commands(body: str) -> list[str]:
    """What stands behind a ``$``; a command goes on until its quotes are closed."""
    commands: list[str] = []
    is_whole = True
    for line in body.splitlines():
        if is_whole and line.startswith("$ "):
            commands.append(line[2:])
        elif not is_whole:
            commands[-1] += f"\n{line}"
        else:
            continue  # output
        is_whole = _is_whole(commands[-1])
    return commands


def _is_whole(command: str) -> bool:
    try:
        shlex.split(command)
    except ValueError:
        return False
    return True
