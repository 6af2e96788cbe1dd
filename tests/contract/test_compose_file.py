import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from stream_app.kafka.broker.place import KAFKA_VERSION
from stream_app.kafka.broker.properties import SHARED, Ports, docker_environment, server_properties
from topics.codec import MAX_RECORD_BYTES
from topics.registry import MAX_MESSAGE_BYTES

COMPOSE_FILE = Path(__file__).parents[2] / "docker-compose.kafka.yml"


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    parsed: dict[str, Any] = yaml.safe_load(COMPOSE_FILE.read_text(encoding="utf-8"))
    return parsed


@pytest.fixture(scope="module")
def kafka(compose: dict[str, Any]) -> dict[str, Any]:
    service: dict[str, Any] = compose["services"]["kafka"]
    return service


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    # Found, not imported: only the schema that the package carries is wanted, and its program needs more.
    package = find_spec("check_jsonschema")
    assert package is not None
    assert package.origin is not None
    vendored = Path(package.origin).parent / "builtin_schemas" / "vendor" / "compose-spec.json"
    return jsonschema.Draft202012Validator(json.loads(vendored.read_text(encoding="utf-8")))


def test_it_is_what_the_compose_specification_allows(
    compose: dict[str, Any], validator: jsonschema.Draft202012Validator
) -> None:
    assert [error.message for error in validator.iter_errors(compose)] == []


def test_the_schema_would_say_so_if_it_were_not(
    compose: dict[str, Any], kafka: dict[str, Any], validator: jsonschema.Draft202012Validator
) -> None:
    misspelt = {**compose, "services": {"kafka": {**kafka, "imgae": "apache/kafka"}}}
    assert list(validator.iter_errors(misspelt))


def test_its_settings_are_those_of_the_embedded_broker(kafka: dict[str, Any]) -> None:
    assert kafka["environment"] == docker_environment()


def test_every_shared_setting_reaches_both_brokers(kafka: dict[str, Any]) -> None:
    embedded = server_properties(Ports(1, 2), log_dirs="data").splitlines()
    for name, value in SHARED.items():
        assert f"{name}={value}" in embedded
        assert kafka["environment"][f"KAFKA_{name.upper().replace('.', '_')}"] == value


def test_its_kafka_is_the_embedded_one(kafka: dict[str, Any]) -> None:
    assert kafka["image"] == f"apache/kafka:{KAFKA_VERSION}"


def test_only_this_machine_can_reach_it(kafka: dict[str, Any]) -> None:
    assert kafka["ports"] == ["127.0.0.1:9092:9092"]
    assert kafka["environment"]["KAFKA_ADVERTISED_LISTENERS"] == "PLAINTEXT://127.0.0.1:9092"


def test_its_data_lie_in_a_named_volume(compose: dict[str, Any], kafka: dict[str, Any]) -> None:
    name, _, folder = kafka["volumes"][0].partition(":")
    assert name in compose["volumes"]
    assert kafka["environment"]["KAFKA_LOG_DIRS"] == folder


def test_nothing_is_forgotten_because_time_went_by() -> None:
    assert SHARED["log.retention.ms"] == "-1"


@pytest.mark.parametrize(
    "limit", ["message.max.bytes", "replica.fetch.max.bytes", "socket.request.max.bytes"]
)
def test_the_largest_record_passes_every_limit(limit: str) -> None:
    assert int(SHARED[limit]) >= MAX_MESSAGE_BYTES > MAX_RECORD_BYTES
