"""Every client of Kafka is made in one place, so what is set of its security holds for all of them."""

import socket
import ssl
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import trustme

from stream_app.kafka.clients import connection, ssl_context
from stream_app.settings import Settings

ROOT = Path(__file__).parents[3]


def settings(**values: Any) -> Settings:
    return Settings(_env_file=None, kafka_bootstrap="kafka.example:9092", **values)


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_a_password_is_given_by_the_mechanism_that_is_set(mechanism: str) -> None:
    options = connection(
        settings(
            kafka_security_protocol="SASL_SSL",
            kafka_sasl_mechanism=mechanism,
            kafka_sasl_username="ann",
            kafka_sasl_password="a secret",  # noqa: S106 - of nobody
        )
    )
    assert options["security_protocol"] == "SASL_SSL"
    assert options["sasl_mechanism"] == mechanism
    assert (options["sasl_plain_username"], options["sasl_plain_password"]) == ("ann", "a secret")
    assert options["ssl_context"].verify_mode == ssl.CERT_REQUIRED
    assert options["ssl_context"].check_hostname


def test_no_client_is_made_anywhere_else() -> None:
    made = ("AIOKafkaConsumer(", "AIOKafkaProducer(", "AIOKafkaAdminClient(", "faust.App(")
    makers = {
        path.name
        for folder in ("stream_app", "projections", "topics")
        for path in (ROOT / folder).rglob("*.py")
        if any(maker in path.read_text() for maker in made)
    }
    assert makers == {"clients.py", "faust_app.py"}


def greeted(server: ssl.SSLContext, client: ssl.SSLContext) -> bool:
    """Whether a server and a client come to terms over a real connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        outcome: list[bool] = []

        def serve() -> None:
            peer, _ = listener.accept()
            try:
                with server.wrap_socket(peer, server_side=True) as secured:
                    secured.sendall(b"welcome")
                    outcome.append(True)
            except ssl.SSLError:
                peer.close()
                outcome.append(False)

        thread = Thread(target=serve)
        thread.start()
        try:
            with (
                socket.create_connection(listener.getsockname(), timeout=10) as plain,
                client.wrap_socket(plain, server_hostname="127.0.0.1") as secured,
            ):
                secured.recv(7)
        except ssl.SSLError:
            pass
        thread.join(10)
    return outcome == [True]


def test_with_a_certificate_of_our_own_we_are_let_in_and_without_one_not(tmp_path: Path) -> None:
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(server)
    server.verify_mode = ssl.CERT_REQUIRED
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    ours = authority.issue_cert("clipfold.example")
    ours.private_key_pem.write_to_path(tmp_path / "key.pem")
    ours.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    trusting = settings(kafka_security_protocol="SSL", kafka_ssl_cafile=tmp_path / "ca.pem")
    proven = trusting.model_copy(
        update={"kafka_ssl_certfile": tmp_path / "cert.pem", "kafka_ssl_keyfile": tmp_path / "key.pem"}
    )
    assert greeted(server, ssl_context(proven))
    assert not greeted(server, ssl_context(trusting))
    assert not greeted(server, ssl_context(settings(kafka_security_protocol="SSL")))
