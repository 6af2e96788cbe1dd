"""Tokens as they are written in settings, and where a server without them may listen."""

from hashlib import sha256
from pathlib import Path

import pytest

from stream_app.api.access import Role, Tokens
from stream_app.api.server import bind
from stream_app.domain.errors import UsageError
from stream_app.settings import Settings

SECRET = "correct-horse-battery"  # noqa: S105 - of no server


def settings(**changes: object) -> Settings:
    return Settings.model_validate({"kafka_bootstrap": "127.0.0.1:1", "api_port": 0, **changes})


def tokens(text: str) -> Tokens:
    return Tokens.of(settings(api_tokens=text))


def test_a_token_as_it_is_and_as_its_hash() -> None:
    for secret in (SECRET, f"sha256:{sha256(SECRET.encode()).hexdigest()}"):
        found = tokens(f"ann:operate:{secret}").find(SECRET)
        assert found is not None
        assert (found.name, found.role) == ("ann", Role.OPERATE)
    hashed = f"sha256:{sha256(SECRET.encode()).hexdigest()}"
    assert tokens(f"ann:operate:{hashed}").find(hashed) is None


def test_several_tokens_from_both_places(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text(f"# of the studio\n\n  cid:read:{SECRET}-3\n")
    both = Tokens.of(
        settings(api_tokens=f"ann:operate:{SECRET}-1, bob:READ:{SECRET}-2", api_tokens_file=file)
    )
    names = [found.name for number in (1, 2, 3) if (found := both.find(f"{SECRET}-{number}"))]
    assert names == ["ann", "bob", "cid"]
    assert both.find(SECRET) is None
    assert both.find("") is None
    assert not Tokens.of(settings())


@pytest.mark.parametrize(
    "entry",
    [
        SECRET,
        f"ann:{SECRET}",
        f"ann:admin:{SECRET}",
        f":read:{SECRET}",
        f"an n:read:{SECRET}",
        "ann:read:",
        "ann:read:short",
        f"ann:read:{SECRET} with spaces",
        f"ann:read:{SECRET}-ä",
        "ann:read:sha256:12",
        f"ann:read:{SECRET},",
        f"ann:read:{SECRET}-1,ann:operate:{SECRET}-2",
    ],
)
def test_what_is_no_token_is_told_without_telling_it(entry: str) -> None:
    with pytest.raises(UsageError) as told:
        tokens(entry)
    assert SECRET not in str(told.value)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="RENDER_API_TOKENS_FILE"):
        Tokens.of(settings(api_tokens_file=tmp_path / "nowhere"))


def test_secrets_do_not_show_in_settings() -> None:
    assert SECRET not in repr(settings(api_tokens=f"ann:read:{SECRET}"))


def test_without_tokens_nobody_beyond_this_machine_is_listened_to() -> None:
    for host in ("0.0.0.0", "::", "192.0.2.1", "studio.example"):  # noqa: S104 - to be refused
        with pytest.raises(UsageError, match="RENDER_API_TOKENS"):
            bind(settings(api_host=host), Tokens(()))
    bind(settings(), Tokens(())).close()
