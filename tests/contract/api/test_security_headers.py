"""No answer, whatever it is, lets a browser do with it what it is not for."""

import httpx
import pytest

from tests.contract.api.client import MIXES


@pytest.mark.parametrize("path", ["/healthz", "/metrics", MIXES, f"{MIXES}/nobody-knows-it", "/nowhere"])
def test_every_answer_forbids_scripts_frames_and_guesses(client: httpx.Client, path: str) -> None:
    headers = client.get(path).headers
    assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"


def test_the_pages_of_the_documentation_load_nothing_from_elsewhere(client: httpx.Client) -> None:
    answer = client.get("/docs")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy or "default-src 'none'" in policy
    assert "//" not in policy, "no other host may serve a part of it"
    for attribute in ('src="', 'href="'):
        for place in answer.text.split(attribute)[1:]:
            assert not place.startswith(("http:", "https:", "//")), place[:80]
