"""A Kafka of one's own that asks for TLS and a password: every client must speak it."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from stream_app.kafka import broker
from stream_app.kafka.broker import storage
from stream_app.kafka.broker.properties import Ports, server_properties
from tests.integration.render.conftest import Stack
from tests.integration.render.roles import Role
from tests.integration.render.test_parallel_clip_pipeline import small

PASSWORD = 'a secret with " and \\'  # noqa: S105 - of a Kafka that lives for one test


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def guarded(authority: trustme.CA) -> str:
    """Settings that add a listener with TLS and SASL/PLAIN; what stands later in the file holds."""
    cert = authority.issue_cert("127.0.0.1")
    key = load_pem_private_key(cert.private_key_pem.bytes(), password=None)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    chain = b"".join(blob.bytes() for blob in cert.cert_chain_pems).decode()
    password = PASSWORD.replace("\\", "\\\\").replace('"', '\\"')
    login = f'org.apache.kafka.common.security.plain.PlainLoginModule required user_ann="{password}";'
    settings = {
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,GUARDED:SASL_SSL",
        "sasl.enabled.mechanisms": "PLAIN",
        "listener.name.guarded.plain.sasl.jaas.config": login,
        "listener.name.guarded.ssl.keystore.type": "PEM",
        "listener.name.guarded.ssl.keystore.key": pem,
        "listener.name.guarded.ssl.keystore.certificate.chain": chain,
    }

    def escaped(value: str) -> str:
        return value.replace("\\", "\\\\").replace("\n", "\\n")

    return "".join(f"{name}={escaped(value)}\n" for name, value in settings.items())


@pytest.fixture
def bootstrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, authority: trustme.CA) -> Iterator[str]:
    port = free_port()
    extra = guarded(authority)

    def with_guard(ports: Ports, **options: Any) -> str:
        text = server_properties(ports, **options)
        lines = text.splitlines()
        more = [
            f"{line},GUARDED://127.0.0.1:{port}"
            for line in lines
            if line.startswith(("listeners=", "advertised.listeners="))
        ]
        return text + "\n".join(more) + "\n" + extra

    monkeypatch.setattr(storage, "server_properties", with_guard)
    broker.start(tmp_path / "home", cache=broker.default_home())
    yield f"127.0.0.1:{port}"
    broker.stop(tmp_path / "home")


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


def test_a_mix_is_made_over_tls_with_a_password(
    bootstrap: str,
    authority: trustme.CA,
    tmp_path: Path,
    slow_case: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    environment = {
        "RENDER_KAFKA_BOOTSTRAP": bootstrap,
        "RENDER_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "RENDER_KAFKA_SASL_USERNAME": "ann",
        "RENDER_KAFKA_SASL_PASSWORD": PASSWORD,
        "RENDER_KAFKA_SSL_CAFILE": str(tmp_path / "ca.pem"),
        "RENDER_ARTIFACTS_DIR": str(tmp_path / "artifacts"),
        "RENDER_METRICS_PORT": "0",
        "RENDER_API_PORT": "0",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    worker = Role("worker", environment, tmp_path / "worker.log").start()
    serve = Role("serve", environment, tmp_path / "serve.log").start()
    try:
        worker.wait_for("kafka.partitions_assigned", group="clipfold-cutter", timeout_s=120)
        stack = Stack(bootstrap, tmp_path / "artifacts", worker, serve)
        stack.submit(small(slow_case, "guarded", lines=2))
        stack.wait_for_end("guarded")
        assert stack.events("guarded")[-1]["type"] == "mix-rendered"
        assert PASSWORD not in worker.log.read_text() + serve.log.read_text()
        assert json.dumps(PASSWORD) not in worker.log.read_text()
    finally:
        worker.terminate()
        serve.terminate()
