"""The handlers alone, without the middleware around them."""

import httpx
from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from tests.helpers.envelope import assert_problem
from voxgate_responder import install, json_success


def application() -> FastAPI:
    async def ok() -> Response:
        return json_success({})

    async def moved() -> Response:
        raise HTTPException(307, headers={"location": "/elsewhere"})

    async def below(request: Request) -> Response:
        return json_success({})

    app = FastAPI()
    router = APIRouter(prefix="/voices")
    router.add_api_route("/{voice}", ok, methods=["GET"])
    router.add_api_route("/{voice}", ok, methods=["DELETE"])
    app.include_router(router)
    app.add_api_route("/voices/{voice}", ok, methods=["PATCH"])
    app.add_api_route("/moved", moved)
    app.router.routes.append(Mount("/below", routes=[Route("/leaf", below, methods=["POST"])]))
    app.mount("/foreign", Starlette())
    install(app)
    return app


async def request(method: str, path: str) -> httpx.Response:
    transport = httpx.ASGITransport(application())
    async with httpx.AsyncClient(transport=transport, base_url="http://voxgate.test") as client:
        return await client.request(method, path)


async def test_allow_names_every_route_s_methods_included_routers_too() -> None:
    response = await request("POST", "/voices/joe")
    assert_problem(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "DELETE, GET, HEAD, PATCH"


async def test_allow_is_right_below_a_mount() -> None:
    response = await request("PUT", "/below/leaf")
    assert_problem(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "POST"


async def test_a_redirect_raised_as_an_exception_stays_one() -> None:
    response = await request("GET", "/moved")
    assert (response.status_code, response.headers["location"], response.content) == (307, "/elsewhere", b"")


async def test_without_the_middleware_the_trace_names_the_occurrence() -> None:
    body = assert_problem(await request("GET", "/nothing"), 404, "not_found")
    assert body["instance"] == f"urn:voxgate:trace:{body['traceId']}"
