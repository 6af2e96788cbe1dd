"""One Kafka, one worker and one `serve` for all tests of the API: processes, as users run them."""

import json
import secrets
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import httpx
import pytest

from stream_app.kafka import broker
from tests.contract.api.client import MIXES, Guarded, Stack, small, wait_until_listed
from tests.integration.render.roles import ROOT, Role, wait_until
from tests.otlp_receiver import Receiver, receiving_traces
from tests.served import Serve


@pytest.fixture(scope="session")
def traces() -> Iterator[Receiver]:
    """What the roles of `stack` send their traces to."""
    with receiving_traces() as receiver:
        yield receiver


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, traces: Receiver) -> Iterator[Stack]:
    """A Kafka of their own: a worker of other tests would put the videos where this `serve` has none."""
    folder = tmp_path_factory.mktemp("api")
    home = folder / "home"
    running = broker.start(home, cache=broker.default_home())
    environment = {
        "RENDER_KAFKA_BOOTSTRAP": running.bootstrap,
        "RENDER_ARTIFACTS_DIR": str(folder / "artifacts"),
        "RENDER_METRICS_PORT": "0",
        "RENDER_API_PORT": "0",
        "RENDER_API_MAX_STREAMS": "8",
        "OTEL_EXPORTER_OTLP_ENDPOINT": traces.endpoint,
    }
    serve = Role("serve", environment, folder / "serve.log").start()
    worker = Role("worker", environment, folder / "worker.log")
    try:
        serve.wait_for("serve.started", timeout_s=120)
        worker.start()
        worker.wait_for("kafka.partitions_assigned", group="clipfold-assembler", timeout_s=120)
        yield Stack(home, folder / "artifacts", environment, worker, serve)
    finally:
        endings = {role.log: role.terminate() for role in (serve, worker)}
        broker.stop(home)
        assert set(endings.values()) == {0}, [log.read_text()[-3000:] for log in endings]


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """Tokens of both kinds: one as it is, in the environment; one as its hash, in a file."""
    folder = tmp_path_factory.mktemp("guarded")
    tokens = {"read": secrets.token_urlsafe(), "operate": secrets.token_urlsafe()}
    hashed = sha256(tokens["operate"].encode()).hexdigest()
    (folder / "tokens").write_text(f"# who may change things\n\nann:operate:sha256:{hashed}\n")
    running = broker.start(folder / "home", cache=broker.default_home())
    environment = {
        "RENDER_KAFKA_BOOTSTRAP": running.bootstrap,
        "RENDER_ARTIFACTS_DIR": str(folder / "artifacts"),
        "RENDER_API_PORT": "0",
        "RENDER_API_TOKENS": f"bob:read:{tokens['read']}",
        "RENDER_API_TOKENS_FILE": str(folder / "tokens"),
    }
    serve = Role("serve", environment, folder / "serve.log").start()
    try:
        serve.wait_for("serve.started", timeout_s=120)
        guarded = Guarded(folder / "home", running.bootstrap, serve, tokens)
        with guarded.client() as client:
            wait_until(lambda: client.get("/readyz").status_code == 200, "it is ready")
        yield guarded
    finally:
        ending = serve.terminate()
        broker.stop(folder / "home")
        assert ending == 0, serve.log.read_text()[-3000:]


@pytest.fixture(scope="session")
def serve(guarded: Guarded, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """A second one of that Kafka, without tokens: no worker is there whose config could matter."""
    serve = Serve(guarded.bootstrap, tmp_path_factory.mktemp("serve")).start()
    yield serve
    assert serve.role.terminate() == 0, serve.role.log.read_text()[-3000:]


@pytest.fixture(scope="session")
def client(stack: Stack) -> Iterator[httpx.Client]:
    with stack.client() as client:
        yield client


@pytest.fixture(scope="session")
def slow_case() -> dict[str, Any]:
    """The 60 lines over six sources; `scripts/test` has made the media."""
    request: dict[str, Any] = json.loads((ROOT / "media/slow_render_case.json").read_text())
    return request


@pytest.fixture(scope="session")
def rendered(client: httpx.Client, slow_case: dict[str, Any]) -> dict[str, Any]:
    """A mix that was asked for and is rendered, as the API tells of it."""
    client.post(MIXES, json=small(slow_case, "rendered", 2)).raise_for_status()
    wait_until_listed(client, "rendered")
    told: dict[str, Any] = client.get(f"{MIXES}/rendered").json()
    return told
