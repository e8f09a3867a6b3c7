"""The client against answers that Loki, and what stands before it, really give."""

import asyncio

import httpx
import orjson
import pytest

from incidentlens.intake import loki as module
from incidentlens.intake.errors import LokiNotLoki, LokiRefused, LokiTooHeavy, LokiUnavailable
from incidentlens.intake.loki import LokiClient, LokiSettings

STREAMS = {"status": "success", "data": {"resultType": "streams", "result": []}}


@pytest.fixture
def pauses(monkeypatch):
    """The pauses between attempts, without waiting for them."""
    taken: list[float] = []

    async def sleep(seconds: float) -> None:
        taken.append(seconds)

    monkeypatch.setattr(module.asyncio, "sleep", sleep)
    return taken


def client(*answers, **settings):
    """A client whose transport gives `answers` in order (a response or an exception), the last again and again."""
    given = list(answers)
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        found = given.pop(0) if len(given) > 1 else given[0]
        if isinstance(found, Exception):
            raise found
        return httpx.Response(found.status_code, headers=found.headers, content=found.content)

    made = LokiClient(LokiSettings("http://loki", **settings), httpx.MockTransport(answer))
    return made, asked


async def ask(made: LokiClient):
    async with made:
        return await made.query_range("{a=`b`}", 1, 2)


async def test_the_tenant_and_the_log_in_go_with_every_request():
    made, asked = client(httpx.Response(200, json=STREAMS), tenant="shop", bearer_token="secret")
    await ask(made)
    assert asked[0].headers["X-Scope-OrgID"] == "shop"
    assert asked[0].headers["Authorization"] == "Bearer secret"
    made, asked = client(httpx.Response(200, json=STREAMS), username="u", password="p")
    await ask(made)
    assert asked[0].headers["Authorization"].startswith("Basic ")
    assert "p" not in repr(made.settings).replace("http", "")


async def test_an_overloaded_loki_is_asked_again_and_its_retry_after_is_honoured(pauses):
    busy = httpx.Response(429, headers={"Retry-After": "7"}, text="slow down")
    made, asked = client(busy, httpx.Response(503, text="no"), httpx.Response(200, json=STREAMS))
    assert await ask(made) == []
    assert len(asked) == 3
    assert pauses[0] >= 7
    assert made.retries == 2


async def test_retry_after_may_be_a_date(pauses):
    headers = {"Retry-After": "Fri, 21 Nov 2025 00:00:09 GMT", "Date": "Fri, 21 Nov 2025 00:00:00 GMT"}
    made, _ = client(httpx.Response(503, headers=headers), httpx.Response(200, json=STREAMS))
    await ask(made)
    assert pauses[0] >= 9


async def test_it_gives_up_after_the_last_attempt_and_says_where_and_what(pauses):
    made, asked = client(httpx.Response(500, text="ingester unhappy"), max_attempts=3)
    with pytest.raises(LokiUnavailable, match=r"http://loki answered .*500: ingester unhappy"):
        await ask(made)
    assert len(asked) == 3


@pytest.mark.parametrize(
    "fault",
    [httpx.ConnectError("refused"), httpx.ReadTimeout("slow"), httpx.RemoteProtocolError("closed early")],
)
async def test_a_loki_that_is_down_slow_or_hangs_up_is_unavailable(pauses, fault):
    made, _ = client(fault, max_attempts=2)
    with pytest.raises(LokiUnavailable, match="http://loki"):
        await ask(made)


async def test_half_a_body_is_unavailable_and_html_is_not_loki():
    made, _ = client(httpx.Response(200, content=orjson.dumps(STREAMS)[:20]))
    with pytest.raises(LokiUnavailable, match="broke off"):
        await ask(made)
    made, _ = client(httpx.Response(200, text="<html>log in</html>"))
    with pytest.raises(LokiNotLoki, match=r"is loki\.url right"):
        await ask(made)
    made, _ = client(httpx.Response(302, headers={"Location": "https://sso"}))
    with pytest.raises(LokiNotLoki, match="https://sso"):
        await ask(made)


async def test_a_bad_query_is_refused_once_and_not_asked_again():
    made, asked = client(httpx.Response(400, text="parse error at line 1, col 2: syntax error"))
    with pytest.raises(LokiRefused, match="parse error"):
        await ask(made)
    assert len(asked) == 1


async def test_a_missing_tenant_says_what_to_set():
    made, _ = client(httpx.Response(401, text="no org id"))
    with pytest.raises(LokiRefused, match="set the project's tenant"):
        await ask(made)


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(400, text="the query would read too many bytes (query: 10GB, limit: 1GB)"),
        httpx.Response(504, text="context deadline exceeded"),
        httpx.Response(
            400, text="max entries limit per query exceeded, limit > max_entries_limit_per_query (6000 > 5000)"
        ),
    ],
)
async def test_a_window_that_is_too_heavy_is_told_apart_and_not_asked_again(answer):
    made, asked = client(answer)
    with pytest.raises(LokiTooHeavy):
        await ask(made)
    assert len(asked) == 1


async def test_an_answer_over_the_bound_is_too_heavy_and_not_held_in_memory():
    made, _ = client(httpx.Response(200, content=b"x" * (2 << 20)), max_response_bytes=1 << 20)
    with pytest.raises(LokiTooHeavy, match="over 1 MB"):
        await ask(made)


async def test_another_kind_of_result_is_refused_in_words():
    made, _ = client(httpx.Response(200, json={"status": "success", "data": {"resultType": "matrix", "result": []}}))
    with pytest.raises(LokiRefused, match="gives matrix, streams was expected"):
        await ask(made)


async def test_cancelling_a_request_ends_it_at_once():
    async def hang(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(60)
        return httpx.Response(200)

    made = LokiClient(LokiSettings("http://loki"), httpx.MockTransport(hang))
    task = asyncio.create_task(ask(made))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 1)
