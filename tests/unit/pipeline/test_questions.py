"""What the verifier asks Loki in one tick, however much there is to ask."""

from builders import T0, make_verification
from fake_loki import FakeLoki
from incidentlens.model.clock import MINUTE, SECOND
from incidentlens.model.decisions import Check
from incidentlens.pipeline.questions import Questions
from running import make_project

QUERY = '{app="db"} |= "exhausted"'


def watches(number):
    """The first has waited longest."""
    return [
        make_verification(f"v{n:03}", f"i{n}", query=QUERY, checks=(Check(at=T0 + n * SECOND, count=0, note=""),))
        for n in range(number)
    ]


async def test_of_very_many_watches_a_tick_asks_about_those_that_have_waited_longest():
    loki = FakeLoki()
    loki.add({"app": "db"}, [(T0 + 130 * SECOND + n, "pool exhausted") for n in range(7)])
    questions = Questions(make_project(), loki.client())
    counts = await questions.watched_counts(list(reversed(watches(120))), T0 + 5 * MINUTE, away=False)
    assert sorted(counts) == [f"v{n:03}" for n in range(50)]
    assert set(counts.values()) == {7}


async def test_a_loki_that_does_not_answer_is_asked_once_a_tick_and_not_once_a_watch():
    loki = FakeLoki()

    def away(request):
        import httpx

        raise httpx.ConnectError("no")

    loki.fault = away
    questions = Questions(make_project(), loki.client())
    counts = await questions.watched_counts(watches(20), T0 + 5 * MINUTE, away=False)
    assert list(counts.values()) == [None] * 20
    assert len(loki.asked) == 1
