"""A backend's own route that gives its signed-in users a session token. The API key stays here.

VOXGATE=http://127.0.0.1:8080 KEY=vk_… uvicorn token_from_backend:app
"""

import os

import httpx
from fastapi import FastAPI, Header, HTTPException

app = FastAPI()


def user_of(session: str | None) -> str:
    """Whoever is signed in; your own session store in real life."""
    if session is None:
        raise HTTPException(401, "sign in first")
    return session


@app.post("/voice-token")
async def voice_token(x_session: str | None = Header(None), origin: str | None = Header(None)) -> dict[str, object]:
    body = {"sub": user_of(x_session), "leash": {"seconds": 600}, **({"origin": origin} if origin else {})}
    async with httpx.AsyncClient() as client:
        url = f"{os.environ['VOXGATE']}/api/realtime/token"
        answer = await client.post(url, json=body, headers={"Authorization": f"Bearer {os.environ['KEY']}"})
    if answer.status_code != 200:
        raise HTTPException(502, answer.json()["error"]["message"])
    data = answer.json()["data"]
    return {"token": data["token"], "url": data["url"], "expiresAt": data["expiresAt"]}
