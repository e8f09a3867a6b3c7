"""The stand-ins for Discord and mail keep what came and refuse what Discord would."""

from __future__ import annotations

import asyncio
import smtplib
from email.message import EmailMessage
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incidentlens.provision.catcher import KEPT, MAX_BODY, Catcher, _wrong


def client(catcher: Catcher) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=catcher), base_url="http://catcher")


async def test_a_webhooks_message_is_shown_as_text() -> None:
    catcher = Catcher()
    async with client(catcher) as web:
        body = {"content": "<script>alert(1)</script>", "embeds": [{"title": "T"}]}
        assert (await web.post("/api/webhooks/escalate", json=body)).status_code == 204
        page = (await web.get("/")).text
        kept = (await web.get("/messages")).json()
    assert "&lt;script&gt;" in page
    assert "<script>" not in page
    assert [(message["to"], message["titles"]) for message in kept] == [("escalate", ["T"])]


@pytest.mark.parametrize(
    "body",
    [
        {"content": "x" * 2001},
        {"embeds": [{"title": "x" * 257}]},
        {"embeds": [{}] * 11, "content": "x"},
        {"content": ""},
        {"content": 7},
        [],
    ],
)
async def test_what_discord_would_refuse_is_refused(body: Any) -> None:
    catcher = Catcher()
    async with client(catcher) as web:
        assert (await web.post("/api/webhooks/x", json=body)).status_code == 400
    assert [message["kind"] for message in catcher.messages] == ["refused"]


async def test_what_is_too_large_or_no_json_is_refused_and_only_the_latest_are_kept() -> None:
    catcher = Catcher()
    async with client(catcher) as web:
        assert (await web.post("/api/webhooks/x", content=b"x" * (MAX_BODY + 1))).status_code == 413
        assert (await web.post("/api/webhooks/x", content=b"{")).status_code == 400
        assert (await web.get("/elsewhere")).status_code == 404
        for number in range(KEPT + 5):
            await web.post("/api/webhooks/x", json={"content": str(number)})
    assert len(catcher.messages) == KEPT
    assert catcher.messages[-1]["content"] == str(KEPT + 4)


async def test_a_mail_is_kept_with_its_subject_and_text() -> None:
    catcher = Catcher()
    server = await asyncio.start_server(catcher.smtp, "127.0.0.1", 0, limit=MAX_BODY)
    port = server.sockets[0].getsockname()[1]

    def send() -> None:
        mail = EmailMessage()
        mail["Subject"], mail["From"], mail["To"] = "Störung: db", "grafana@example.com", "oncall@example.com"
        mail.set_content("first line\n.a line with a dot\n")
        with smtplib.SMTP("127.0.0.1", port) as smtp:
            smtp.send_message(mail)

    async with server:
        await asyncio.to_thread(send)
    (message,) = catcher.messages
    assert (message["to"], message["subject"]) == ("oncall@example.com", "Störung: db")
    assert ".a line with a dot" in message["content"]


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3)
                    | st.dictionaries(st.sampled_from(["content", "embeds", "title"]), inner, max_size=3)))  # fmt: skip
@settings(deadline=None, max_examples=100)
def test_whatever_is_posted_is_judged_and_never_crashes(message: Any) -> None:
    assert isinstance(_wrong(message), str)
