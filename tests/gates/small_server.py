"""``python small_server.py MODE --fd N``: a server of the standard library alone that starts in milliseconds.

Modes: ``good`` answers every connection; ``stubborn`` ignores SIGTERM; ``brood`` leaves a grandchild in a session of
its own, which writes its pid into the data directory's parent; ``mute`` never becomes ready; ``dies`` says why and
ends; ``garbage`` prints what is no ready line; ``endless`` prints a line without end; ``elsewhere`` is ready on
another port; ``mortal`` becomes ready and ends with status 7.
"""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path


def say(line: str) -> None:
    sys.stdout.write(line)
    sys.stdout.flush()


def main() -> None:
    mode, _, descriptor = sys.argv[1:4]
    listener = socket.socket(fileno=int(descriptor))
    Path(os.environ["VOXGATE_DATA_DIR"], "state").write_text("kept here")
    if mode == "dies":
        sys.stderr.write("JWT_SECRET=" + os.environ.get("JWT_SECRET", "") + "\nno luck today\n")
        raise SystemExit(3)
    if mode == "mute":
        signal.pause()
    if mode == "garbage":
        say("Starting up, please wait\n")
        signal.pause()
    if mode == "endless":
        say("x" * 100_000)
        signal.pause()
    if mode == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if mode == "brood":
        stray = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", "import signal; signal.pause()"], start_new_session=True
        )
        Path(os.environ["STRAY_FILE"]).write_text(str(stray.pid))
    host, port = listener.getsockname()
    url = f"http://{host}:{port + 1 if mode == 'elsewhere' else port}"
    say(json.dumps({"event": "ready", "url": url, "pid": os.getpid()}) + "\n")
    if mode == "mortal":
        raise SystemExit(7)
    while True:
        connection, _ = listener.accept()
        connection.sendall(os.environ.get("ALLOWED_ORIGINS", "").encode() or b"-")
        connection.close()


main()
