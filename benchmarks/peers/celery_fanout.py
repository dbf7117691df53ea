"""The usual way to deliver webhooks in Python: Celery tasks over Redis, posting with httpx.

Tasks are acknowledged late, and Redis keeps an append-only file that it fsyncs every second, as it recommends: up to a
second of tasks would be lost with the power.
Imported by the Celery worker and by the benchmark, which both find Redis by BENCH_REDIS.
"""

import os

import httpx
from celery import Celery

app = Celery("bench", broker=os.environ.get("BENCH_REDIS", ""))
app.conf.update(
    task_ignore_result=True,
    task_acks_late=True,
    worker_prefetch_multiplier=32,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
)
client = httpx.Client(timeout=15.0)


@app.task(name="deliver")  # type: ignore[untyped-decorator]
def deliver(url: str, body: str, headers: dict[str, str]) -> None:
    """Post one event to one target."""
    client.post(url, content=body.encode(), headers=headers).raise_for_status()
