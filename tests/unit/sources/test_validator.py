import pytest

from stream_app.sources.validator import Validator

MONDAY, TUESDAY = "Mon, 01 Jan 2024 00:00:00 GMT", "Tue, 02 Jan 2024 00:00:00 GMT"


@pytest.mark.parametrize(
    ("validator", "is_strong", "identity", "if_range", "if_changed"),
    [
        (Validator('"a"', MONDAY, 9), True, 'etag:"a"', {"If-Range": '"a"'}, {"If-None-Match": '"a"'}),
        (
            Validator('W/"a"', MONDAY, 9),
            True,
            f'etag:W/"a" modified:{MONDAY} size:9',
            {"If-Range": MONDAY},
            {"If-None-Match": 'W/"a"'},
        ),
        (Validator('W/"a"', None, 9), False, 'etag:W/"a" modified: size:9', {}, {"If-None-Match": 'W/"a"'}),
        (Validator(None, MONDAY), False, f"etag: modified:{MONDAY} size:", {}, {"If-Modified-Since": MONDAY}),
        (Validator(size=9), False, "", {}, {}),
    ],
)
def test_what_a_validator_is_good_for(
    validator: Validator,
    is_strong: bool,  # noqa: FBT001 - an expected value
    identity: str,
    if_range: dict[str, str],
    if_changed: dict[str, str],
) -> None:
    assert validator.is_strong is is_strong
    assert validator.identity == identity
    assert validator.if_range() == if_range
    assert validator.if_changed() == if_changed


@pytest.mark.parametrize(
    ("one", "other", "agree"),
    [
        (Validator('"a"', MONDAY, 9), Validator('"a"', TUESDAY, 9), True),
        (Validator('"a"', MONDAY, 9), Validator('"b"', MONDAY, 9), False),
        (Validator('"a"', None, 9), Validator('"a"', None, 8), False),
        (Validator('W/"a"', MONDAY), Validator('"a"', MONDAY), True),
        (Validator('W/"a"', MONDAY), Validator('W/"a"', TUESDAY), False),
        (Validator('W/"a"'), Validator('W/"b"'), False),
        (Validator(None, MONDAY, 9), Validator(None, TUESDAY, 9), False),
        (Validator('"a"', None, None), Validator(None, MONDAY, 9), True),
    ],
)
def test_two_agree_unless_something_tells_them_apart(one: Validator, other: Validator, agree: object) -> None:
    assert one.agrees_with(other) is agree
    assert other.agrees_with(one) is agree
