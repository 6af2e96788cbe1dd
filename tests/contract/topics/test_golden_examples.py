"""Every record type: its golden example, its schema and its model say the same."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from schema_files import record_models

from topics.codec import encode, read_event, read_object, read_task
from topics.events import MixEvent
from topics.requests import MixCancel, MixRequest, MixRevise
from topics.tasks import ClipTask

TOPICS = Path(__file__).resolve().parents[3] / "topics"
MODELS = record_models()
TYPES = sorted(MODELS)


def example(name: str) -> bytes:
    return (TOPICS / "examples" / f"{name}.v1.json").read_bytes()


def schema(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((TOPICS / "schemas" / f"{name}.v1.json").read_bytes())
    return loaded


def test_there_is_one_example_for_each_type() -> None:
    assert sorted(path.name for path in (TOPICS / "examples").iterdir()) == [f"{t}.v1.json" for t in TYPES]


@pytest.mark.parametrize("name", TYPES)
def test_the_schema_is_a_schema(name: str) -> None:
    Draft202012Validator.check_schema(schema(name))
    assert schema(name)["$id"] == f"urn:clipfold:{name}:v1"


@pytest.mark.parametrize("name", TYPES)
def test_the_example_fits_the_schema(name: str) -> None:
    Draft202012Validator(schema(name)).validate(json.loads(example(name)))


@pytest.mark.parametrize("name", TYPES)
def test_the_example_is_one_line(name: str) -> None:
    assert example(name).count(b"\n") == 1
    assert example(name).endswith(b"}\n")


@pytest.mark.parametrize("name", TYPES)
def test_the_example_reads_and_encodes_to_the_same_bytes(name: str) -> None:
    record = MODELS[name].model_validate_json(example(name))
    people_wrote_it = isinstance(record, MixRequest | MixCancel | MixRevise)
    encoded = record.model_dump_json(exclude_unset=True).encode() if people_wrote_it else encode(record)
    assert encoded + b"\n" == example(name)


@pytest.mark.parametrize("name", [name for name in TYPES if issubclass(MODELS[name], MixEvent)])
def test_readers_of_the_log_get_the_right_model(name: str) -> None:
    assert type(read_event(example(name))) is MODELS[name]


def test_readers_of_the_queue_get_a_task() -> None:
    assert isinstance(read_task(example("clip-task")), ClipTask)


@pytest.mark.parametrize("name", [name for name in TYPES if issubclass(MODELS[name], MixEvent | ClipTask)])
def test_what_a_later_version_adds_is_ignored_at_every_level(name: str) -> None:
    grown = json.dumps(_with_additions(json.loads(example(name)))).encode()
    read = read_task(grown) if name == "clip-task" else read_event(grown)
    assert read == MODELS[name].model_validate_json(example(name))
    Draft202012Validator(schema(name)).validate(json.loads(grown))


def _with_additions(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_additions(item) for item in value]
    if not isinstance(value, dict):
        return value
    grown = {name: _with_additions(item) for name, item in value.items()}
    # The keys of these are data: an addition would be another entry, not a field.
    is_map = all(isinstance(item, int) for item in value.values()) or set(value) <= {"v1", "v2"}
    return grown if is_map and "attempts" not in value else {**grown, "added_later": {"x": [1]}}


@pytest.mark.parametrize("name", TYPES)
def test_the_schema_refuses_what_the_model_refuses(name: str) -> None:
    body = read_object(example(name))
    assert isinstance(body, dict)
    for field in schema(name).get("required", ()):
        broken = {key: value for key, value in body.items() if key != field}
        assert not Draft202012Validator(schema(name)).is_valid(broken), field
        if field != "type" or name in {"mix-cancel", "mix-revise"}:
            with pytest.raises(ValueError, match=field):
                MODELS[name].model_validate_json(json.dumps(broken))


@pytest.mark.parametrize("name", TYPES)
def test_every_field_says_what_it_means(name: str) -> None:
    whole = schema(name)
    shapes = [whole, *(shape for shape in whole.get("$defs", {}).values() if "properties" in shape)]
    mute = [
        field
        for shape in shapes
        for field, rules in shape["properties"].items()
        if "description" not in rules and "const" not in rules
    ]
    assert mute == []
