"""A webhook that believes only what its gateway signed (Standard Webhooks).

Needs `pip install fastapi standardwebhooks uvicorn`:
WEBHOOK_SECRET=whsec_… uvicorn --app-dir docs/examples/python --port 9000 verify_webhook:app
"""

import os

from fastapi import FastAPI, Request, Response
from standardwebhooks import Webhook, WebhookVerificationError

app = FastAPI()
webhook = Webhook(os.environ["WEBHOOK_SECRET"])
seen: set[str] = set()  # a database in real life: deliveries come at least once


@app.post("/events")
async def receive(request: Request) -> Response:
    body = await request.body()
    try:
        event = webhook.verify(body, dict(request.headers))
    except WebhookVerificationError:
        return Response(status_code=401)
    if event["id"] not in seen:
        seen.add(event["id"])
        print(event["type"], event["data"])
    return Response(status_code=204)
