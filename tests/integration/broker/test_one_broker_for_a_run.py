import os
import subprocess
import sys
from pathlib import Path

from stream_app.kafka import broker

TESTS = Path(__file__).parents[2]

CONFTEST = f"""
import sys
sys.path.insert(0, {str(TESTS)!r})
from broker_fixture import kafka_bootstrap
"""

TEST_MODULE = """
import os
from pathlib import Path
import pytest

@pytest.mark.parametrize("which", range(2))
def test_it(kafka_bootstrap, which):
    Path(os.environ["PYTEST_XDIST_WORKER"]).write_text(kafka_bootstrap)
"""


def test_all_workers_share_one_broker_and_the_last_one_out_stops_it(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_generated.py").write_text(TEST_MODULE)
    base = tmp_path / "base"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment.pop("RENDER_TEST_KAFKA_BOOTSTRAP", None)

    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "2", "--dist", "each", f"--basetemp={base}", tmp_path],
        capture_output=True,
        check=False,
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": str(TESTS.parent)},
        text=True,
        timeout=120,
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    told = [(tmp_path / worker).read_text() for worker in ("gw0", "gw1")]
    assert told[0] == told[1]
    assert (base / "kafka" / "broker" / "run.json").exists()
    assert broker.status(base / "kafka") is None
