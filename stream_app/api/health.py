"""What a supervisor and Prometheus ask of `serve`."""

from typing import Literal

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, ConfigDict, Field

from stream_app.api.documented import problems
from stream_app.api.parts import PartsOf

READY_LAG = 10_000
"""Records behind the log at which the answers are called too old to be asked for."""

router = APIRouter(tags=["service"])


class Alive(BaseModel):
    """The process lives."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "ok"}]})

    status: Literal["ok"] = "ok"


class Readiness(BaseModel):
    """Whether the projection keeps up with the log."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "ready", "lag": 0}]})

    status: Literal["ready", "behind"]
    lag: int | None = Field(description="records not folded yet; null while Kafka was not reached")


@router.get("/healthz", operation_id="getHealth", summary="Whether the process lives")
async def healthz() -> Alive:
    """Always the same answer: when there is none, the process is to be started again."""
    return Alive()


@router.get(
    "/readyz",
    operation_id="getReadiness",
    summary="Whether the projection keeps up with the log",
    responses={503: {"model": Readiness, "description": "it is behind, or Kafka was not reached yet"}},
)
async def readyz(parts: PartsOf, response: Response) -> Readiness:
    """503 while answers would be too old to be asked for."""
    behind = parts.projection.lag
    ready = behind is not None and behind <= READY_LAG
    response.status_code = 200 if ready else 503
    return Readiness(status="ready" if ready else "behind", lag=behind)


@router.get(
    "/metrics",
    operation_id="getMetrics",
    summary="Prometheus metrics",
    response_class=Response,
    responses=problems()
    | {200: {"description": "all of serve's", "content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics() -> Response:
    """In Prometheus' text format; observability/README.md says what they mean."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
