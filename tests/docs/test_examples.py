"""The examples that pages include are run as they stand: Python, PHP and a page in a real browser."""

import asyncio
import importlib.util
import json
import os
import shutil
import socket
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from urllib.parse import urlsplit

import httpx
import pytest
import trustme
import uvicorn
from fastapi import FastAPI
from openai import AsyncOpenAI
from playwright.async_api import Route, async_playwright
from standardwebhooks import Webhook

from tests.docs.pages import DOCS, ROOT
from tests.gateway.rig import OPERATOR_KEY, ORIGIN, PREVIEW, Served, served
from tests.php.shim import php_server

EXAMPLES = DOCS / "examples"
NODE = shutil.which("node")
OPENAI_NODE = Path(os.environ.get("OPENAI_NODE", "nowhere"))
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
CLIP = ROOT / "packages" / "gates" / "src" / "voxgate_gates" / "clips" / "order.wav"


def module(name: str) -> ModuleType:
    path = EXAMPLES / "python" / name
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


@pytest.fixture
async def gateway() -> AsyncIterator[Served]:
    async with served() as running:
        yield running


async def test_a_backend_gives_its_users_tokens(gateway: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOXGATE", gateway.url)
    monkeypatch.setenv("KEY", OPERATOR_KEY)
    backend = httpx.ASGITransport(module("token_from_backend.py").app)
    async with httpx.AsyncClient(transport=backend, base_url="http://backend") as http:
        assert (await http.post("/voice-token")).status_code == 401
        http.cookies["session"] = "ada"
        assert set((await http.post("/voice-token")).json()) == {"token", "url", "expiresAt"}
        monkeypatch.setenv("KEY", "vk_wrong")
        refused = await http.post("/voice-token")
        with socket.create_server(("127.0.0.1", 0)) as closing:
            nowhere = closing.getsockname()[1]
        monkeypatch.setenv("VOXGATE", f"http://127.0.0.1:{nowhere}")
        unanswered = await http.post("/voice-token")
    assert (refused.status_code, unanswered.status_code) == (502, 503)
    assert OPERATOR_KEY not in refused.text


@pytest.mark.parametrize(("key", "why"), [("vk_wrong", "no token: 401"), (OPERATOR_KEY, "no turn with")])
async def test_a_spoken_turn_that_fails_says_why_in_one_line(
    gateway: Served, key: str, why: str, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closing:
        nowhere = f"http://127.0.0.1:{closing.getsockname()[1]}"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(EXAMPLES / "python" / "spoken_turn.py")),
        *(gateway.url if key == "vk_wrong" else nowhere, str(CLIP)),
        cwd=tmp_path,
        env={"KEY": key},
        stderr=asyncio.subprocess.PIPE,
    )
    _, complaint = await process.communicate()
    assert process.returncode == 1
    assert complaint.decode().startswith(why)
    assert complaint.decode().count("\n") == 1
    assert os.listdir(tmp_path) == []


async def test_a_webhook_believes_its_gateway_alone_and_takes_an_event_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    monkeypatch.setenv("WEBHOOK_SECRET", secret)
    event = json.dumps({"id": "evt_1", "type": "voice.session.ended", "data": {"turns": 1}})
    now = datetime.now(UTC)
    headers = {"webhook-id": "evt_1", "webhook-timestamp": str(int(now.timestamp()))}
    signed = {**headers, "webhook-signature": Webhook(secret).sign("evt_1", now, event)}
    app = httpx.ASGITransport(module("verify_webhook.py").app)
    async with httpx.AsyncClient(transport=app, base_url="http://webhook") as http:
        answers = [await http.post("/events", content=event, headers=signed) for _ in range(2)]
        forged = await http.post("/events", content=event, headers={**headers, "webhook-signature": "v1,AAAA"})
    assert [answer.status_code for answer in (*answers, forged)] == [204, 204, 401]
    assert capsys.readouterr().out == "voice.session.ended {'turns': 1}\n"


@pytest.mark.skipif(shutil.which("php") is None, reason="php is not installed: apt-get install php-cli")
async def test_a_php_page_gives_its_signed_in_users_a_token_or_says_why_not(gateway: Served, tmp_path: Path) -> None:
    (tmp_path / "sess_ada").write_text('user|s:3:"ada";')
    for url, key, session, status in (
        (gateway.url, OPERATOR_KEY, "ada", 200),
        (gateway.url, OPERATOR_KEY, "nobody", 401),
        (gateway.url, "vk_wrong", "ada", 502),
        ("http://127.0.0.1:9", OPERATOR_KEY, "ada", 503),
    ):
        with php_server(
            EXAMPLES / "php", environ={"VOXGATE": url, "KEY": key}, ini={"session.save_path": str(tmp_path)}
        ) as php:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{php.port}", trust_env=False) as http:
                headers = {"Cookie": f"PHPSESSID={session}", "Origin": ORIGIN}
                answer = await http.post("/token.php", headers=headers)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")
        assert set(answer.json()) == ({"token", "url"} if status == 200 else {"error"})
        assert key not in answer.text
        if status == 200:
            verifier = gateway.gateway.realtime.context.verifier
            grant = await verifier.verify(answer.json()["token"], origin=ORIGIN, single_use=True)
            assert (grant.subject, grant.origin) == ("ada", ORIGIN)


async def test_openais_own_client_needs_another_address_and_key_alone(gateway: Served) -> None:
    async with AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=await gateway.token()) as client:
        async with client.realtime.connect(model="gpt-realtime-2.1") as connection:
            assert (await connection.recv()).type == "session.created"


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: apt-get install chromium")
async def test_the_page_and_its_backend_get_an_answer_as_they_stand_or_show_why_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KEY", OPERATOR_KEY)
    shown: list[str] = []
    async with serving(module("token_from_backend.py").app) as site, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for allowed in (site, "http://localhost:1"):
            async with served({**PREVIEW, "ALLOWED_ORIGINS": allowed}) as gateway:
                monkeypatch.setenv("VOXGATE", gateway.url)
                page = await browser.new_page()
                await page.goto(site)
                await page.get_by_role("button").click()
                await page.wait_for_function("/[?}]$/.test(document.querySelector('output').value)")
                shown.append(await page.locator("output").evaluate("output => output.value"))
                if allowed != site:  # a token that is bound to no page gets no further, and the browser says no more
                    await page.route("**/voice-token", unbound := Unbound(gateway))
                    await page.get_by_role("button").click()
                    await page.wait_for_function("document.querySelector('output').value.startsWith('refused')")
                    shown.append(await page.locator("output").evaluate("output => output.value"))
                    assert unbound.asked == 1
        await browser.close()
    assert shown == [
        "Hello, I can hear you. How may I help you today?",
        'no token: 502 {"detail":"the token may not be bound to this origin"}',
        "refused: 1006 ",
    ]


class Unbound:
    """A backend that gives out tokens for any page."""

    def __init__(self, gateway: Served) -> None:
        self.gateway = gateway
        self.asked = 0

    async def __call__(self, route: Route) -> None:
        self.asked += 1
        url = self.gateway.url.replace("http", "ws", 1) + "/realtime"
        await route.fulfill(json={"token": await self.gateway.token(), "url": url})


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: apt-get install chromium")
async def test_a_page_gets_its_session_back_after_a_cut_without_ever_seeing_a_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with serving(module("token_from_backend.py").app) as site:
        async with served({**PREVIEW, "ALLOWED_ORIGINS": site}) as gateway, async_playwright() as playwright:
            monkeypatch.setenv("VOXGATE", gateway.url)
            monkeypatch.setenv("KEY", OPERATOR_KEY)
            browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            page = await browser.new_page()
            seen: list[str] = []
            page.on("response", lambda response: seen.append(response.url))
            await page.goto(site)
            await page.evaluate(
                """async () => {
                    window.events = [];
                    window.heard = (wanted) => new Promise((found) => {
                        const look = () => events.some(wanted) ? found() : setTimeout(look, 10);
                        look();
                    });
                    session = await openSession("/voice-token", { onEvent: (event) => events.push(event) });
                    await heard((event) => event.type === "session.created");
                }"""
            )
            [relay] = gateway.gateway.realtime.sessions
            assert relay.client.transport is not None
            relay.client.transport.disconnect(False)
            await page.evaluate(
                """async () => {
                    session.send({ type: "session.update", session: { type: "realtime", instructions: "Be brief." } });
                    await heard((event) => event.type === "session.updated");
                    session.close();
                    await heard((event) => event.type === "closed");
                }"""
            )
            events = await page.evaluate("events")
            await browser.close()
    kinds = [event["type"] for event in events]
    assert kinds == ["auth_success", "session.created", "auth_success", "session.updated", "closed"]
    assert [event["resumed"] for event in events if event["type"] == "auth_success"] == [False, True]
    assert events[-1]["code"] == 1000
    assert not [url for url in seen if OPERATOR_KEY in url]


@asynccontextmanager
async def serving(app: FastAPI) -> AsyncIterator[str]:
    """Serve an app on a loopback port until the block ends; its URL."""
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await task


@asynccontextmanager
async def behind_tls(port: int, folder: Path) -> AsyncIterator[str]:
    """A TLS front that passes bytes on to ``port``, as a proxy in front of a gateway does; its CA is ``ca.pem``."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pipe(reader, far_writer), pipe(far_reader, writer), return_exceptions=True)

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as front:
        yield f"https://localhost:{front.sockets[0].getsockname()[1]}"


@pytest.mark.skipif(
    NODE is None or not OPENAI_NODE.is_dir(),
    reason="needs node, and OPENAI_NODE, a folder where `npm install openai ws` was run",
)
async def test_openais_javascript_client_speaks_a_turn_with_the_base_url_and_the_key_changed(tmp_path: Path) -> None:
    shutil.copy(EXAMPLES / "javascript" / "spoken_turn.mjs", tmp_path)
    (tmp_path / "node_modules").symlink_to(OPENAI_NODE / "node_modules")
    async with served() as gateway, behind_tls(urlsplit(gateway.url).port or 0, tmp_path) as url:
        process = await asyncio.create_subprocess_exec(
            *(str(NODE), "spoken_turn.mjs", str(CLIP)),
            cwd=tmp_path,
            env={"VOXGATE": url, "KEY": OPERATOR_KEY, "NODE_EXTRA_CA_CERTS": str(tmp_path / "ca.pem")},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, complaint = await process.communicate()
    assert process.returncode == 0, complaint.decode()
    said, spoken = out.decode().splitlines()
    assert said
    assert float(spoken.partition(" ")[0]) > 0.5


def test_the_recording_of_the_quickstart_is_what_it_needs() -> None:
    import wave

    with wave.open(str(CLIP), "rb") as clip:
        assert (clip.getframerate(), clip.getnchannels(), clip.getsampwidth()) == (24_000, 1, 2)
    assert "order.wav" in (DOCS / "quickstart.md").read_text("utf-8")
    assert sys.version_info >= (3, 11)
