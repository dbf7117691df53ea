import os
import select
import signal
import subprocess
import sys

import pytest

from voxgate_gates.processes import descendants, still_there

PARENT = """
import signal, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"], start_new_session=True)
print(child.pid, flush=True)
signal.pause()
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems show no processes in /proc")


def test_a_descendant_is_seen_wherever_it_went_until_it_ends() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        seen = descendants(parent.pid)
        assert {pid for pid, _ in seen} == {child}
        parent.kill()
        parent.wait()
        assert still_there(seen) == seen
        pidfd = os.pidfd_open(child)
        try:
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            select.select([pidfd], [], [], 10)
            assert not still_there(seen)
        finally:
            os.close(pidfd)


def test_an_id_that_was_given_to_another_process_is_not_the_same() -> None:
    assert not still_there(frozenset({(os.getpid(), "0")}))


def test_a_process_without_children_has_no_descendants() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert descendants(process.pid) == frozenset()
        process.kill()
