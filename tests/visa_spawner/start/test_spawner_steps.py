"""The steps of a start, as those see them who watch, early or late."""

import asyncio

from visa_spawner.start.steps import Steps


def test_words_about_the_queue_take_each_others_place():
    steps = Steps()
    steps.say("Checked the request")
    for place in range(500, 0, -1):
        steps.say(f"Waiting, {place} before you", queued=True)
    assert steps.words == ["Checked the request", "Waiting, 1 before you"]
    steps.say("Running on n1")
    steps.say("Put back into the queue", queued=True)
    assert steps.words == [
        "Checked the request",
        "Waiting, 1 before you",
        "Running on n1",
        "Put back into the queue",
    ]


async def watch(steps, given):
    async for event in steps.events():
        given.append(event)


def test_whoever_watches_sees_the_newest_words_and_the_end():
    async def run():
        steps, early, late = Steps(), [], []
        steps.say("Checked the request")
        first = asyncio.create_task(watch(steps, early))
        await asyncio.sleep(0)
        for place in (3, 2, 1):
            steps.say(f"{place} before you", queued=True)
            await asyncio.sleep(0)
        second = asyncio.create_task(watch(steps, late))
        await asyncio.sleep(0)
        steps.say("Running on n1")
        steps.close()
        await asyncio.gather(first, second)
        return early, late

    early, late = asyncio.run(run())
    words = [event["message"] for event in early]
    assert words == ["Checked the request", "3 before you", "2 before you", "1 before you", "Running on n1"]
    assert [event.get("queued", False) for event in early] == [False, True, True, True, False]
    assert [event["message"] for event in late] == ["Checked the request", "1 before you", "Running on n1"]
    # However often the place changes, it stays one step: the bar does not creep to its end.
    assert early[1]["progress"] == early[3]["progress"] < early[4]["progress"] < 95
