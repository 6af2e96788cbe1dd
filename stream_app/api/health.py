"""What a supervisor and Prometheus ask of `serve`."""

from collections.abc import Callable

from fastapi import APIRouter, FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from stream_app.api.problems import install_problems

READY_LAG = 10_000
"""Records behind the log at which the answers are called too old to be asked for."""


def make_api(lag: Callable[[], int | None], config: APIRouter) -> FastAPI:
    """The app; `lag` says how many records the projection is behind, `None` while Kafka was not reached."""
    api = FastAPI(
        title="clipfold", description="Music videos from mix requests; the log in Kafka is the truth."
    )

    install_problems(api)
    api.include_router(config)

    @api.get("/healthz", summary="Whether the process lives")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @api.get("/readyz", summary="Whether the projection keeps up with the log")
    async def readyz(response: Response) -> dict[str, int | str | None]:
        behind = lag()
        ready = behind is not None and behind <= READY_LAG
        response.status_code = 200 if ready else 503
        return {"status": "ready" if ready else "behind", "lag": behind}

    @api.get("/metrics", summary="Prometheus metrics", include_in_schema=False)
    async def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return api
