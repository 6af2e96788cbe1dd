"""What a supervisor and Prometheus ask of `clipfold serve`."""

import json
import urllib.error
import urllib.request

from tests.integration.render.conftest import Stack


def get(stack: Stack, path: str) -> tuple[int, str]:
    (address,) = {tuple(line["address"]) for line in stack.serve.lines() if line["event"] == "serve.started"}
    url = f"http://{address[0]}:{address[1]}{path}"
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_it_lives_keeps_up_and_is_measured(stack: Stack) -> None:
    assert get(stack, "/healthz") == (200, json.dumps({"status": "ok"}, separators=(",", ":")))
    status, ready = get(stack, "/readyz")
    assert (status, json.loads(ready)["status"]) == (200, "ready")
    status, metrics = get(stack, "/metrics")
    assert status == 200
    assert "render_projection_lag " in metrics
    assert "render_build_info{" in metrics
    assert get(stack, "/openapi.json")[0] == 200
    assert get(stack, "/nowhere")[0] == 404
