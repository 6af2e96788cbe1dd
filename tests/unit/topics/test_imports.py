import subprocess
import sys

LIST_MODULES = """
import pkgutil, sys, topics
for module in pkgutil.walk_packages(topics.__path__, "topics."):
    __import__(module.name)
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""
ALLOWED = {
    *("topics", "pydantic", "pydantic_core", "annotated_types", "typing_extensions", "typing_inspection"),
}
TIME_LIMIT_S = 60


def test_topics_needs_nothing_but_pydantic_and_the_standard_library() -> None:
    """Anyone may import the contracts: a consumer in another program, without Kafka, media or database."""
    # What the environment itself loads at its start is not our doing.
    at_start, after = (_modules(code) for code in ("import sys; print(*sys.modules)", LIST_MODULES))
    foreign = after - at_start - set(sys.stdlib_module_names) - ALLOWED
    assert {name for name in foreign if not name.startswith("_sysconfigdata_")} == set()
    assert not after & {"aiokafka", "faust", "av", "duckdb", "structlog", "asyncio", "stream_app"}
    assert "topics" in after


def _modules(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=TIME_LIMIT_S, check=True
    )
    return {name.partition(".")[0] for name in done.stdout.split()}
