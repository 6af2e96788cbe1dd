"""A number of places that may change while callers wait."""

import asyncio

from stream_app.cutting.turns import Turns


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


class Visitors:
    """Callers that stay in until they are let go."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.inside: list[int] = []
        self.leave: dict[int, asyncio.Event] = {}

    def send(self, number: int) -> asyncio.Task[None]:
        self.leave[number] = asyncio.Event()
        return asyncio.create_task(self._visit(number))

    async def _visit(self, number: int) -> None:
        async with self.turns:
            self.inside.append(number)
            await self.leave[number].wait()
            self.inside.remove(number)


async def test_others_wait_in_order_of_arrival() -> None:
    visitors = Visitors(Turns(2))
    tasks = [visitors.send(number) for number in range(4)]
    await settle()
    assert visitors.inside == [0, 1]
    visitors.leave[1].set()
    await settle()
    assert visitors.inside == [0, 2]
    for event in visitors.leave.values():
        event.set()
    await asyncio.gather(*tasks)


async def test_growing_lets_in_and_shrinking_waits_for_leavers() -> None:
    turns = Turns(1)
    visitors = Visitors(turns)
    tasks = [visitors.send(number) for number in range(5)]
    await settle()
    turns.resize(3)
    await settle()
    assert visitors.inside == [0, 1, 2]
    turns.resize(1)
    assert turns.size == 1
    visitors.leave[0].set()
    visitors.leave[1].set()
    await settle()
    assert visitors.inside == [2]
    for event in visitors.leave.values():
        event.set()
    await asyncio.gather(*tasks)


async def test_a_caller_that_gives_up_leaves_no_gap() -> None:
    visitors = Visitors(Turns(1))
    tasks = [visitors.send(number) for number in range(3)]
    await settle()
    tasks[1].cancel()
    visitors.leave[0].set()
    await settle()
    assert visitors.inside == [2]
    visitors.leave[2].set()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_caller_cancelled_as_its_turn_comes_passes_it_on() -> None:
    visitors = Visitors(Turns(1))
    tasks = [visitors.send(number) for number in range(3)]
    await settle()
    visitors.leave[0].set()
    await asyncio.sleep(0)
    tasks[1].cancel()
    visitors.leave[1].set()
    await settle()
    assert visitors.inside == [2]
    visitors.leave[2].set()
    await asyncio.gather(*tasks, return_exceptions=True)
