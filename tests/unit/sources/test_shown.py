"""Addresses for people: without what is secret in them."""

import pytest
from yarl import URL

from stream_app.sources.shown import MAX_SHOWN, shown


@pytest.mark.parametrize(
    ("address", "seen"),
    [
        ("https://cdn.example/a.mp4", "https://cdn.example/a.mp4"),
        ("https://me:pw@cdn.example:444/a?b=pw#pw", "https://cdn.example:444/a"),
        ("https://me@pw@cdn.example/a", "https://cdn.example/a"),
        ("https://cdn.example?pw", "https://cdn.example"),
        ("https://cdn.example/a#pw\n?pw", "https://cdn.example/a"),
        ("https://cdn.example/@a/b", "https://cdn.example/@a/b"),
        ("http://me:pw@[", "http://["),
        (URL("https://me:pw@cdn.example:444/a?b=pw#pw"), "https://cdn.example:444/a"),
    ],
)
def test_user_query_and_fragment_are_left_out(address: str | URL, seen: str) -> None:
    assert shown(address) == seen


def test_an_address_is_not_shown_at_any_length() -> None:
    assert shown("https://cdn.example/" + "a" * 9999).endswith("a...")
    assert len(shown("https://cdn.example/" + "a" * 9999)) == MAX_SHOWN + 3
