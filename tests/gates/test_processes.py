import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from voxgate_gates.processes import descendants, still_there

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")

PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-I", "-S", "-c", sys.argv[1]], start_new_session=True, stdin=subprocess.PIPE)
print(child.pid, flush=True)
sys.stdin.read()
child.stdin.close()
child.wait()
print("reaped", flush=True)
sys.stdin.read()
"""
CHILD = "import sys; sys.stdin.read()"


@contextmanager
def family() -> Iterator[tuple["subprocess.Popen[str]", int]]:
    """A process, and the id of its child in a session of its own; both end when its input does."""
    arguments = [sys.executable, "-I", "-S", "-c", PARENT, CHILD]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        yield parent, int(parent.stdout.readline())


def test_a_child_that_left_the_session_is_still_a_descendant() -> None:
    with family() as (parent, child):
        seen = descendants(parent.pid)
        assert [pid for pid, _ in seen] == [child]
        assert still_there(seen) == seen


def test_one_that_has_ended_is_not_there_any_more() -> None:
    with family() as (parent, _):
        seen = descendants(parent.pid)
        assert parent.stdin is not None
        assert parent.stdout is not None
        parent.stdin.close()
        assert parent.stdout.readline() == "reaped\n"
        assert still_there(seen) == frozenset()


def test_an_id_that_another_process_got_since_is_not_the_same() -> None:
    with family() as (parent, child):
        assert still_there(frozenset({(child, "0")})) == frozenset()
        assert descendants(parent.pid)


def test_a_process_that_is_gone_has_no_descendants() -> None:
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", ""]) as ended:
        pass
    assert descendants(ended.pid) == frozenset()
