import pytest

from stream_app.domain.errors import SourceError
from stream_app.sources.breaker import (
    FAILURES,
    FIRST_REST_S,
    LONGEST_REST_S,
    MAX_HOSTS,
    PROBE_WAIT_MS,
    SPAN_S,
    Breakers,
)
from stream_app.sources.fetch_error import FetchError
from topics.reasons import FallbackReason

HOST = "https://cdn.example"


class Time:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Time:
    return Time()


@pytest.fixture
def breakers(clock: Time) -> Breakers:
    return Breakers(clock)


def down() -> FetchError:
    return FetchError(FallbackReason.CDNS_UNREACHABLE, "no connection", retryable=True, blames_host=True)


def talk(breakers: Breakers, error: BaseException | None = None, host: str = HOST) -> None:
    """One request that ends with `error`; raises what the breaker raises."""
    talked = breakers.ask(host)
    if error is None:
        with talked:
            return
    with pytest.raises(type(error)), talked:
        raise error


def bring_down(breakers: Breakers, clock: Time) -> None:
    for _ in range(FAILURES):
        talk(breakers, down())
        clock.now += SPAN_S / (FAILURES - 1)


def left_alone(breakers: Breakers) -> SourceError:
    with pytest.raises(SourceError, match="left alone") as caught:
        breakers.ask(HOST)
    return caught.value


def test_a_host_that_is_down_is_left_alone_for_a_while(breakers: Breakers, clock: Time) -> None:
    bring_down(breakers, clock)
    error = left_alone(breakers)
    assert (error.reason, error.retryable) == (FallbackReason.CDNS_UNREACHABLE, True)
    assert "no connection" in str(error)
    assert 0 < error.retry_after_ms <= FIRST_REST_S * 1000
    assert breakers.open_count == 1
    clock.now += error.retry_after_ms / 1000
    breakers.ask(HOST)


def test_other_hosts_are_not_left_alone(breakers: Breakers, clock: Time) -> None:
    bring_down(breakers, clock)
    talk(breakers, host="https://cdn.example:8443")


def test_one_blip_is_forgiven_however_many_requests_it_broke(breakers: Breakers, clock: Time) -> None:
    for _ in range(10 * FAILURES):
        talk(breakers, down())
        clock.now += SPAN_S / (10 * FAILURES + 1)
    breakers.ask(HOST)


def test_an_answer_between_failures_is_a_fresh_start(breakers: Breakers, clock: Time) -> None:
    for _ in range(10):
        for _ in range(FAILURES - 1):
            talk(breakers, down())
            clock.now += SPAN_S
        talk(breakers)
    assert breakers.open_count == 0


@pytest.mark.parametrize(
    "error",
    [
        FetchError(FallbackReason.CDN_ERROR, "404", retryable=False),
        FetchError(FallbackReason.SOURCE_REFUSED, "private", retryable=False),
        KeyboardInterrupt(),
    ],
)
def test_what_tells_nothing_of_the_host_does_not_count(
    breakers: Breakers, clock: Time, error: BaseException
) -> None:
    for _ in range(10 * FAILURES):
        talk(breakers, error)
        clock.now += SPAN_S
    breakers.ask(HOST)


def test_one_request_probes_the_host_while_others_wait(breakers: Breakers, clock: Time) -> None:
    bring_down(breakers, clock)
    clock.now += FIRST_REST_S
    with breakers.ask(HOST):
        assert left_alone(breakers).retry_after_ms == PROBE_WAIT_MS
    breakers.ask(HOST)
    breakers.ask(HOST)


def test_a_probe_that_fails_doubles_the_rest_up_to_a_bound(breakers: Breakers, clock: Time) -> None:
    bring_down(breakers, clock)
    rests = []
    for _ in range(8):
        clock.now += LONGEST_REST_S
        talk(breakers, down())
        rests.append(left_alone(breakers).retry_after_ms / 1000)
    assert rests[0] == 2 * FIRST_REST_S < LONGEST_REST_S
    assert rests[1:] == [LONGEST_REST_S] * 7


def test_a_probe_without_an_outcome_leaves_the_probe_to_the_next(breakers: Breakers, clock: Time) -> None:
    bring_down(breakers, clock)
    clock.now += FIRST_REST_S
    talk(breakers, KeyboardInterrupt())
    talk(breakers)
    assert breakers.open_count == 0


def test_late_failures_of_requests_in_flight_do_not_lengthen_the_rest(
    breakers: Breakers, clock: Time
) -> None:
    in_flight = [breakers.ask(HOST) for _ in range(3)]
    bring_down(breakers, clock)
    before = left_alone(breakers).retry_after_ms
    for late in in_flight:
        with pytest.raises(FetchError), late:
            raise down()
    assert left_alone(breakers).retry_after_ms == before


def test_hosts_are_not_remembered_without_bound(breakers: Breakers, clock: Time) -> None:
    bring_down(breakers, clock)
    for number in range(MAX_HOSTS):
        talk(breakers, down(), host=f"https://{number}.example")
    breakers.ask(HOST)
