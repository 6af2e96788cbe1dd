"""A Kafka and a `clipfold serve` for all tests of this folder: the render config is a whole cluster's."""

from collections.abc import Iterator

import pytest

from tests.broker_fixture import own_kafka
from tests.served import Serve


@pytest.fixture(scope="session")
def bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with own_kafka(tmp_path_factory.mktemp("kafka")) as bootstrap:
        yield bootstrap


@pytest.fixture(scope="session")
def serve(bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    serve = Serve(bootstrap, tmp_path_factory.mktemp("serve")).start()
    yield serve
    assert serve.role.terminate() == 0, serve.role.log.read_text()[-3000:]
