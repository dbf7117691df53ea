import asyncio
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from voxgate_backplane.lock import LOCK_ATTEMPTS, LOCK_PAUSE_SECONDS, owned
from voxgate_core import ConfigurationError


class Pauses:
    """Ends each pause at once; the process ``at_third`` is told to end in the third."""

    def __init__(self, at_third: asyncio.subprocess.Process | None = None) -> None:
        self.seconds: list[float] = []
        self._at_third = at_third

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        if len(self.seconds) == 3 and self._at_third is not None:
            await self._at_third.communicate(b"end of input")


async def test_the_folder_is_private_and_the_lock_names_its_holder(tmp_path: Path) -> None:
    async with owned(tmp_path / "data") as folder:
        assert folder.path == tmp_path / "data" / "nats"
        assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
        assert (folder.path / "lock").read_text("utf-8") == f"{os.getpid()}\n"
        assert stat.S_IMODE((folder.path / "lock").stat().st_mode) == 0o600


async def test_a_folder_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    (tmp_path / "nats").mkdir(mode=0o755)
    async with owned(tmp_path) as folder:
        assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700


async def test_the_path_is_absolute_for_a_relative_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with owned(Path(".voxgate")) as folder:
        assert folder.path == tmp_path / ".voxgate" / "nats"


async def test_a_second_holder_is_refused_and_told_what_to_do(tmp_path: Path) -> None:
    pauses = Pauses()
    async with owned(tmp_path):
        with pytest.raises(ConfigurationError) as told:
            async with owned(tmp_path, pause=pauses):
                pytest.fail("the directory was shared")
    (fault,) = told.value.faults
    assert fault.startswith(f"the data directory {tmp_path} is in use by process {os.getpid()}")
    for way_out in ("VOXGATE_NATS_URL", "VOXGATE_DATA_DIR", "--workers"):
        assert way_out in fault
    assert pauses.seconds == [LOCK_PAUSE_SECONDS] * (LOCK_ATTEMPTS - 1)


async def test_a_second_holder_in_another_process_is_refused(tmp_path: Path) -> None:
    script = (
        "import asyncio, sys; from pathlib import Path; from voxgate_backplane.lock import owned\n"
        "async def pause(seconds): pass\n"
        "async def main():\n"
        "    async with owned(Path(sys.argv[1]), pause=pause): print('shared')\n"
        "asyncio.run(main())"
    )
    async with owned(tmp_path):
        other = await asyncio.create_subprocess_exec(
            sys.executable, "-c", script, str(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        printed, complained = await other.communicate()
    assert printed == b""
    assert f"the data directory {tmp_path} is in use by process {os.getpid()}" in complained.decode()


async def test_the_lock_is_free_again_after_its_holder(tmp_path: Path) -> None:
    for _ in range(2):
        async with owned(tmp_path, pause=Pauses()):
            pass
    assert (tmp_path / "nats" / "lock").read_text("utf-8") == ""


async def test_a_lock_file_without_a_holder_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "nats").mkdir()
    (tmp_path / "nats" / "lock").write_text("99999999 is a longer text than any process id", "utf-8")
    async with owned(tmp_path, pause=Pauses()) as folder:
        assert (folder.path / "lock").read_text("utf-8") == f"{os.getpid()}\n"


async def test_a_child_with_the_descriptor_holds_the_lock_until_it_is_gone(tmp_path: Path) -> None:
    async with owned(tmp_path) as folder:
        reader = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-S", "-c", "import sys; sys.stdin.read()",
            stdin=subprocess.PIPE, pass_fds=(folder.descriptor,),
        )  # fmt: skip
    pauses = Pauses(at_third=reader)
    async with owned(tmp_path, pause=pauses):
        assert len(pauses.seconds) == 3
    assert reader.returncode == 0


@pytest.mark.parametrize("taken", ["data", "data/nats", "data/nats/lock"])
async def test_a_directory_that_can_not_be_made_is_refused_by_its_setting(tmp_path: Path, taken: str) -> None:
    place = tmp_path / taken
    place.parent.mkdir(parents=True, exist_ok=True)
    if taken.endswith("lock"):
        place.symlink_to(tmp_path / "elsewhere")
    else:
        place.write_text("a file", "utf-8")
    with pytest.raises(ConfigurationError, match="VOXGATE_DATA_DIR") as told:
        async with owned(tmp_path / "data"):
            pytest.fail("it was used")
    assert str(place) in told.value.faults[0]
    assert not (tmp_path / "elsewhere").exists()


def test_on_windows_it_can_be_imported_and_says_what_to_do(tmp_path: Path) -> None:
    script = (
        "import asyncio, ctypes, subprocess, sys, sysconfig\n"
        "import nats\n"
        "from pathlib import Path\n"
        "from voxgate_core import ConfigurationError\n"
        "sys.platform, sys.modules['fcntl'] = 'win32', None\n"
        "from voxgate_backplane.lock import owned\n"
        "from voxgate_backplane.server import EmbeddedServer\n"
        "try: owned(Path(sys.argv[1])).__aenter__().send(None)\n"
        "except ConfigurationError as error: print(error)\n"
    )
    ran = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert "doesn't run on Windows: set VOXGATE_NATS_URL" in ran.stdout, ran.stderr
