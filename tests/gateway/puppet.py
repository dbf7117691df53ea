"""A worker process on strings: it does what the test tells it, one command at a time, and nothing else.

Run by path, ``python -I -S puppet.py --fd N``, with the test's port in ``PUPPET_STRINGS``: it imports the standard
library alone and is up in milliseconds. It connects there, sends one JSON line about itself, then reads commands, each
a JSON list, and answers each with one JSON line. Where the test ends, so does it.
"""

import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import threading

PAUSE = "import signal; signal.pause()"


def main() -> None:
    with socket.create_connection(("127.0.0.1", int(os.environ["PUPPET_STRINGS"]))) as strings:
        strings.sendall(json.dumps(about()).encode() + b"\n")
        for line in strings.makefile("rb"):
            strings.sendall(json.dumps(obey(*json.loads(line))).encode() + b"\n")


def about() -> dict[str, object]:
    death_signal = ctypes.c_int()
    ctypes.CDLL(None).prctl(2, ctypes.byref(death_signal), 0, 0, 0)  # PR_GET_PDEATHSIG
    return {
        "pid": os.getpid(),
        "worker": os.environ["VOXGATE_WORKER"],
        "environ": dict(os.environ),
        "leadsSession": os.getsid(0) == os.getpid(),
        "deathSignal": death_signal.value,
        "stdin": os.readlink("/proc/self/fd/0"),
    }


def obey(command: str, argument: object = None) -> object:
    match command:
        case "say":
            os.write(1, str(argument).encode())
        case "hush":
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        case "serve":
            threading.Thread(target=serve, daemon=True).start()
        case "be deaf":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        case "beget":
            # It holds the worker's standard output, so the pipe does not end with the worker.
            return subprocess.Popen([sys.executable, "-I", "-S", "-c", PAUSE]).pid
        case "exit":
            os._exit(int(str(argument)))
        case _:
            raise ValueError(command)
    return None


def serve() -> None:
    """Answer every connection with this process's number."""
    with socket.socket(fileno=int(sys.argv[sys.argv.index("--fd") + 1])) as listener:
        while True:
            caller, _ = listener.accept()
            with caller, contextlib.suppress(OSError):  # it may have gone again
                caller.sendall(str(os.getpid()).encode())


if __name__ == "__main__":
    main()
