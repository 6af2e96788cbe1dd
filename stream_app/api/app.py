"""The API put together: its routers, and what stands before all of them."""

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.middleware import Middleware
from starlette.middleware.body_limit import RequestBodyLimitMiddleware

from stream_app.api import commands, events, health, mixes, sql, video
from stream_app.api.access import Guard, LoopbackOnly, Tokens
from stream_app.api.bodies import MAX_BODY_BYTES, json_only
from stream_app.api.docs import add_docs
from stream_app.api.openapi import DESCRIPTION, TAGS, describe
from stream_app.api.parts import Parts, unavailable
from stream_app.api.problems import PlainErrors, install_problems, problem_response
from stream_app.api.request_log import RequestLog
from stream_app.api.security_headers import SecurityHeaders
from stream_app.domain.errors import OwnFaultError

ROUTERS = (commands.router, mixes.router, events.router, video.router, sql.router, health.router)


def make_api(parts: Parts, tokens: Tokens, *more: APIRouter) -> FastAPI:
    """The app, with `more` routers; without tokens it answers only those who call it by a loopback name."""
    api = FastAPI(
        title="clipfold",
        summary="Music videos from mix requests",
        description=DESCRIPTION,
        version="1",
        openapi_tags=TAGS,
        middleware=_middleware(tokens),
        dependencies=[Depends(json_only)],
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
    )
    api.state.parts = parts
    install_problems(api)
    api.add_exception_handler(OwnFaultError, _own_fault)
    for router in (*ROUTERS, *more):
        api.include_router(router)
    add_docs(api)
    describe(api)
    return api


def _middleware(tokens: Tokens) -> list[Middleware]:
    """The first one is the outermost: what stands behind it is logged, and told as a problem."""
    return [
        Middleware(RequestLog),
        Middleware(SecurityHeaders),
        Middleware(PlainErrors),
        Middleware(Guard, tokens=tokens) if tokens else Middleware(LoopbackOnly),
        Middleware(RequestBodyLimitMiddleware, max_body_size=MAX_BODY_BYTES),
    ]


async def _own_fault(_: Request, error: Exception) -> JSONResponse:
    return problem_response(unavailable(str(error)))
