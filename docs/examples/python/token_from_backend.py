"""A backend that serves a page, and gives its signed-in users a session token. The API key stays here.

Needs `pip install fastapi httpx uvicorn`. Run it, then open http://localhost:8000:
VOXGATE=http://127.0.0.1:8080 KEY=vk_… uvicorn --app-dir docs/examples/python --port 8000 token_from_backend:app
"""

import os
from pathlib import Path

import httpx
from fastapi import Cookie, FastAPI, Header, HTTPException
from fastapi.staticfiles import StaticFiles

app = FastAPI()


def user_of(session: str | None) -> str:
    """Who is signed in. Put your own session check here: this one believes any cookie."""
    if session is None:
        raise HTTPException(401, "sign in first")
    return session


@app.post("/voice-token")
async def voice_token(session: str | None = Cookie(None), origin: str | None = Header(None)) -> dict[str, object]:
    body = {"sub": user_of(session), "leash": {"seconds": 600}, **({"origin": origin} if origin else {})}
    url = f"{os.environ['VOXGATE']}/api/realtime/token"
    try:
        async with httpx.AsyncClient() as client:
            answer = await client.post(url, json=body, headers={"Authorization": f"Bearer {os.environ['KEY']}"})
    except httpx.TransportError as error:
        raise HTTPException(503, "the voice gateway does not answer") from error
    if answer.status_code != 200:
        raise HTTPException(502, answer.json()["error"]["message"])
    data = answer.json()["data"]
    return {"token": data["token"], "url": data["url"], "expiresAt": data["expiresAt"]}


# From the same origin as the route, so that the page's cookie goes along. Last: it takes every other address.
app.mount("/", StaticFiles(directory=Path(__file__).parent.with_name("page"), html=True))
