"""The runbook and its examples: a section for each code, and configurations that real programs take."""

import asyncio
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect

from tests.docs.pages import DOCS, console_blocks
from tests.gateway.processes import started
from tests.gateway.rig import BEARER, PREVIEW, STORED_OPERATOR_KEY, served
from voxgate_core import ERRORS
from voxgate_gateway.settings import MAX_DRAIN_SECONDS
from voxgate_gateway.workers import PATIENCE_SECONDS, REAP_SECONDS
from voxgate_observability import METRICS
from voxgate_realtime.closing import ABNORMAL
from voxgate_security import KeyRing

SECONDS = 60.0
"""A command of the page may take so long, on a busy machine."""

EXAMPLES = DOCS / "examples"
HEADINGS = re.findall(r"^### (.+)$", (DOCS / "OPS_RUNBOOK.md").read_text("utf-8"), re.MULTILINE)
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


def test_each_error_code_has_its_section_and_no_other() -> None:
    assert [heading.strip("`") for heading in HEADINGS if heading.startswith("`")] == list(ERRORS)


def test_each_close_code_has_its_section_in_turn() -> None:
    codes = [int(heading) for heading in HEADINGS if heading.isdecimal()]
    # 1006 is in no table: nobody sends it, but logs, metrics and browsers show it of a connection that broke.
    assert codes == sorted({kind.close_code for kind in ERRORS.values()} | {ABNORMAL})


def test_the_first_thing_an_operator_needs_is_at_the_top() -> None:
    text = (DOCS / "OPS_RUNBOOK.md").read_text("utf-8")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE)[0] == "First minutes"


def test_metrics_that_pages_and_alerts_name_exist() -> None:
    known = {metric.name for metric in METRICS}
    texts = [
        (DOCS / name).read_text("utf-8")
        for name in ("OPS_RUNBOOK.md", "OBSERVABILITY.md", "examples/prometheus/voxgate.rules.yml")
    ]
    named = {name.removesuffix("_bucket") for text in texts for name in re.findall(r"\bvoxgate_[a-z_]+", text)}
    assert {name for name in named if not name.startswith("voxgate_retention")} <= known


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed: apt-get install prometheus")
def test_promtool_takes_the_alert_rules(tmp_path: Path) -> None:
    rules = EXAMPLES / "prometheus" / "voxgate.rules.yml"
    check = subprocess.run(["promtool", "check", "rules", str(rules)], capture_output=True, text=True, check=False)
    assert check.returncode == 0, check.stderr
    (tmp_path / "test.yml").write_text(
        f"""
rule_files: [{rules}]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - series: voxgate_health_check_up{{check="backplane", instance="a"}}
        values: 1 1 0x10
      - series: voxgate_fanout_outcomes_total{{outcome="dead", instance="a"}}
        values: 0x5 1x5
      - series: voxgate_fanout_dropped_total{{instance="a"}}
        values: 0x3 1x5
    alert_rule_test:
      - {{eval_time: 2m, alertname: VoxgateCheckDown, exp_alerts: []}}
      - {{eval_time: 2m, alertname: VoxgateEventsLost, exp_alerts: []}}
      - eval_time: 6m
        alertname: VoxgateEventsLost
        exp_alerts:
          - exp_labels: {{instance: a, severity: warning}}
            exp_annotations:
              summary: Events were lost on a
              description: The disk or the database was slow or gone; the log says which.
      - eval_time: 6m
        alertname: VoxgateCheckDown
        exp_alerts:
          - exp_labels: {{check: backplane, instance: a, severity: critical}}
            exp_annotations:
              summary: backplane is down on a
              description: /api/health says why; OPS_RUNBOOK has a section for each part.
"""
    )
    test = subprocess.run(
        ["promtool", "test", "rules", str(tmp_path / "test.yml")], capture_output=True, text=True, check=False
    )
    assert test.returncode == 0, test.stdout + test.stderr


def test_systemd_waits_longer_than_the_longest_stop() -> None:
    (seconds,) = re.findall(
        r"^TimeoutStopSec=(\d+)$", (EXAMPLES / "systemd" / "voxgate.service").read_text("utf-8"), re.M
    )
    assert int(seconds) > MAX_DRAIN_SECONDS + PATIENCE_SECONDS + REAP_SECONDS


async def test_a_gateway_starts_with_what_the_page_says_it_needs(tmp_path: Path) -> None:
    """The page's own file and command, with folders of the test's and without another user."""
    deploy = (DOCS / "OPS_RUNBOOK.md").read_text("utf-8").split("## Deploy", 1)[1].split("### ", 1)[0]
    (least,) = re.findall(r"^```ini\n(.*?)^```$", deploy, re.MULTILINE | re.DOTALL)
    _, block = console_blocks(deploy)  # the first one installs
    (shell,) = block.commands
    data = tmp_path / "data"
    data.mkdir()
    for there, here in (
        ("sudo -u voxgate ", ""),
        ("/etc/voxgate/env", str(tmp_path / "env")),
        ("/var/lib/voxgate", str(data)),
    ):
        assert there in shell
        shell = shell.replace(there, here)
    shell = shell.replace("/opt/voxgate/bin/voxgate", f"{shlex.quote(sys.executable)} -m voxgate_gateway")

    def run(command: str) -> tuple[int, str]:
        words = shell.replace("config check", command)
        env = {"PATH": os.environ["PATH"]}
        done = subprocess.run(words, shell=True, env=env, capture_output=True, text=True, timeout=SECONDS, check=False)
        return done.returncode, done.stdout + done.stderr

    made = {"JWT_SECRET": KeyRing.generate().export(), "VOXGATE_API_KEYS": STORED_OPERATOR_KEY}
    text = least.replace("/var/lib/voxgate", str(data))
    for name, value in made.items():
        text = text.replace(f"{name}=…\n", f"{name}={value}\n")
    (tmp_path / "env").write_text(text + "VOXGATE_CONVERSATIONS=redacted\n")
    assert run("config check")[0] == 1
    assert "voxgate db upgrade" in run("config check")[1]
    assert run("db upgrade") == (0, "the schema was not there and is 0001 now\n")
    assert (data / "conversations.sqlite3").is_file()
    status, told = run("config check")
    assert (status, "would start" in told) == (0, True)
    environ = dict(line.split("=", 1) for line in (tmp_path / "env").read_text().splitlines())
    async with started(data, environ=environ) as gateway, httpx.AsyncClient() as http:
        assert (await http.get(f"{gateway.url}/readyz")).status_code == 200
        assert (await http.get(f"{gateway.url}/api/conversations", headers=BEARER)).status_code == 200
        assert (await http.get(f"{gateway.url}/api/marketing.php")).status_code == 401


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "voxgate.service"
    text = (EXAMPLES / "systemd" / "voxgate.service").read_text("utf-8")
    unit.write_text(text.replace("/opt/voxgate/bin/voxgate", "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    assert [line for line in done.stderr.splitlines() if "voxgate.service" in line] == []
    assert "NoNewPrivileges=yes" in text


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed: apt-get install nginx-light")
async def test_a_session_goes_through_the_real_nginx(tmp_path: Path) -> None:
    assert NGINX is not None
    text = (EXAMPLES / "nginx" / "voxgate.conf").read_text("utf-8")
    settings = {**PREVIEW, "VOXGATE_TRUSTED_PROXIES": "127.0.0.1", "VOXGATE_METRICS": "open"}
    listener = tmp_path / "front.sock"
    async with served(settings) as gateway:
        site = text.replace("listen 443 ssl", f"listen unix:{listener}").replace(
            "127.0.0.1:8080", gateway.url.removeprefix("http://")
        )
        site = re.sub(r"^\s*ssl_certificate.*$", "", site, flags=re.MULTILINE)
        whole = f"""
daemon off; master_process off; pid {tmp_path}/nginx.pid; error_log stderr warn;
events {{ worker_connections 64; }}
http {{
  access_log off; client_body_temp_path {tmp_path}/b; proxy_temp_path {tmp_path}/p; fastcgi_temp_path {tmp_path}/f;
  uwsgi_temp_path {tmp_path}/u; scgi_temp_path {tmp_path}/s;
{site}
}}
"""
        (tmp_path / "nginx.conf").write_text(whole)
        words = (NGINX, "-c", str(tmp_path / "nginx.conf"), "-p", str(tmp_path))
        checked = await asyncio.create_subprocess_exec(*words, "-t", stderr=asyncio.subprocess.PIPE)
        _, said = await checked.communicate()
        assert checked.returncode == 0, said.decode()
        front = await asyncio.create_subprocess_exec(*words, stderr=asyncio.subprocess.PIPE)
        try:
            async with asyncio.timeout(20):
                while not listener.exists():
                    assert front.returncode is None
                    await asyncio.sleep(0.01)
            transport = httpx.AsyncHTTPTransport(uds=str(listener))
            async with httpx.AsyncClient(transport=transport, base_url="http://voice.example.com") as http:
                token = (await http.post("/api/realtime/token", headers=BEARER)).json()["data"]["token"]
                assert (await http.get("/metrics")).status_code == 404
                assert (await http.get("/readyz")).status_code == 200
                assert (
                    await http.post("/api/realtime/token", content=b" " * (2 << 20), headers=BEARER)
                ).status_code == 413
            headers = {"Authorization": f"Bearer {token}"}
            reader = await asyncio.to_thread(_unix, listener)
            async with connect("ws://voice.example.com/realtime", sock=reader, additional_headers=headers) as session:
                assert "auth_success" in str(await session.recv())
                assert "session.created" in str(await session.recv())
        finally:
            front.terminate()
            await front.wait()


def _unix(path: Path) -> "object":
    import socket

    sock = socket.socket(socket.AF_UNIX)
    sock.connect(str(path))
    return sock
