"""The description is whole, and the program does as it says, whatever is sent."""

from contextlib import suppress
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS

from tests.contract.api.client import Guarded, Stack, url_of

EXAMPLES = 25
EXAMPLES_OF_A_STREAM = 8
STREAM = "/api/v1/mixes/{mix_id}/events"
SILENCE_S = 3
"""The stream of a mix that is queued says nothing and has no end: after so long it is left."""


@pytest.fixture(scope="session")
def described(guarded: Guarded) -> dict[str, Any]:
    return guarded.openapi()


@pytest.fixture(scope="session")
def schema(guarded: Guarded) -> Any:
    return described_at(guarded.url)


def described_at(url: str) -> Any:
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
    schema.config.max_stream_events = 1
    return schema


def operations(described: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{method} {path}": operation
        for path, operations in described["paths"].items()
        for method, operation in operations.items()
    }


def test_every_operation_is_named_tagged_and_explained(described: dict[str, Any]) -> None:
    told = operations(described)
    assert len(told) >= 13
    ids = [operation["operationId"] for operation in told.values()]
    assert len(set(ids)) == len(ids)
    known = {tag["name"] for tag in described["tags"]}
    for name, operation in told.items():
        assert operation["summary"], name
        assert operation["description"], name
        assert set(operation["tags"]) <= known, name


def test_every_body_and_every_answer_has_an_example(described: dict[str, Any]) -> None:
    schemas = described["components"]["schemas"]
    for name, operation in operations(described).items():
        bodies = [operation["requestBody"]] if "requestBody" in operation else []
        for body in bodies + list(operation["responses"].values()):
            for kind, content in body.get("content", {}).items():
                named = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
                has_one = {"example", "examples"} & content.keys() or "examples" in schemas.get(named, {})
                assert has_one or "json" not in kind, f"{name}: {body.get('description')}"


def test_every_error_is_described_as_a_problem(described: dict[str, Any]) -> None:
    for name, operation in operations(described).items():
        for status, answer in operation["responses"].items():
            if status >= "400" and name != "get /readyz":
                assert list(answer["content"]) == ["application/problem+json"], (name, status)


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_it_does_as_it_says(schema: Any, guarded: Guarded, mode: GenerationMode) -> None:
    """Each operation with generated input that fits its description, and with such that does not."""
    headers = {"Authorization": f"Bearer {guarded.tokens['operate']}"}
    # What no schema can say (the order of lines, what is known of a mix) makes input that fits be refused.
    left_out = CHECKS.get_by_names(["positive_data_acceptance"])
    tried = 0

    def check(case: schemathesis.Case) -> None:
        nonlocal tried
        tried += 1
        limits = {"timeout": SILENCE_S} if case.operation.path == STREAM else {}
        case.call_and_validate(headers=headers, excluded_checks=left_out, **limits)

    for result in schema.get_all_operations():
        operation = result.ok()
        run = settings(
            max_examples=EXAMPLES_OF_A_STREAM if operation.path == STREAM else EXAMPLES,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        with suppress(Unsatisfiable):  # nothing that is sent there could be wrong
            run(given(case=operation.as_strategy(generation_mode=mode))(check))()
    assert tried > 5 * EXAMPLES


@pytest.mark.parametrize("follow", ["false", "true"])
def test_a_stream_is_as_it_says(stack: Stack, rendered: dict[str, Any], follow: str) -> None:
    """Whatever is generated names no mix that is known: here is one."""
    operation = described_at(url_of(stack.serve)).find_operation_by_id("streamEvents")
    case = operation.Case(path_parameters={"mix_id": rendered["mix_id"]}, query={"follow": follow})
    answer = case.call_and_validate()
    assert answer.status_code == 200
    assert b"event: mix-accepted" in answer.content
