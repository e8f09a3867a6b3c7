"""Secrets and personal data do not leave."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incidentlens.actions import redact
from incidentlens.actions.redaction import MAX_TEXT, iban, luhn

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.SflKxwRJSMeKKF2QT4fwpM"


@pytest.mark.parametrize(
    ("text", "secret", "kind"),
    [
        ("password=hunter2 user=bob", "hunter2", "secret"),
        ('{"password": "hunter two", "a": 1}', "hunter two", "secret"),
        (r"{\"api_key\":\"abc123\"}", "abc123", "secret"),
        ("db.password: hunter2", "hunter2", "secret"),
        ("{'client_secret' => 'x y z'}", "x y z", "secret"),
        ("GET /cb?access_token=abc123&x=1", "abc123", "secret"),
        ("token=deadbeef", "deadbeef", "secret"),
        ("postgres://app:s3cret@db:5432/x", "s3cret", "url_password"),
        ("Authorization: Bearer abcdef123456", "abcdef123456", "authorization"),
        ('"authorization":"Basic dXNlcjpwYXNz"', "dXNlcjpwYXNz", "authorization"),
        ("sent Bearer abcdef123456 to x", "abcdef123456", "authorization"),
        ("Set-Cookie: sid=abc; Path=/", "sid=abc", "cookie"),
        (f"got {JWT} here", JWT, "jwt"),
        ("key AKIAIOSFODNN7EXAMPLE used", "AKIAIOSFODNN7EXAMPLE", "token"),
        ("ghp_" + "a1" * 18, "ghp_" + "a1" * 18, "token"),
        ("xoxb-123456789012-abcdef", "xoxb-123456789012-abcdef", "token"),
        ("sk_live_abcdefghij0123", "sk_live_abcdefghij0123", "token"),
        ("mail to ann.lee+x@shop.example.com now", "ann.lee+x@shop.example.com", "email"),
        ("card 4111 1111 1111 1111 declined", "4111 1111 1111 1111", "card"),
        ("card 5500-0000-0000-0004", "5500-0000-0000-0004", "card"),
        ("IBAN DE89 3704 0044 0532 0130 00 now", "DE89 3704 0044 0532 0130 00", "iban"),
        ("GB82WEST12345698765432", "GB82WEST12345698765432", "iban"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY----- x", "MIIE", "private_key"),
        ("-----BEGIN PRIVATE KEY-----\nMIIE cut off", "MIIE", "private_key"),
    ],
)
def test_a_secret_is_masked_and_named(text: str, secret: str, kind: str) -> None:
    found = redact(text)
    assert secret not in found.text
    assert f"[masked:{kind}]" in found.text
    assert kind in [masked.kind for masked in found.masked]


@pytest.mark.parametrize(
    "text",
    [
        "connection pool exhausted: 50 of 50 in use, waited 1200 ms",
        "invalid token: unexpected end",
        "basic validation failed",
        "ts=1700000000000000000 id=4111111111111112",
        "trace_id=4bf92f3577b34da6a3ce929d0e0e4736 span=00f067aa0ba902b7",
        "order 1234567890123456 failed",
        "http://orders:8080/orders/17",
        "at com.shop.checkout.Flow.finish(Flow.java:142)",
        "10.0.0.7 - - GET /index.html 200",
        "AB12CDEF not a bank account",
        "0000000000000000",
    ],
)
def test_evidence_that_is_no_secret_stays_as_it_is(text: str) -> None:
    assert redact(text).text == text
    assert redact(text).masked == ()


def test_what_is_around_a_secret_stays() -> None:
    assert redact("postgres://app:s3cret@db:5432/x").text == "postgres://app:[masked:url_password]@db:5432/x"
    assert redact("password=a user=bob").text == "password=[masked:secret] user=bob"


def test_every_secret_is_counted() -> None:
    found = redact("a@b.example, c@d.example; password=x")
    assert [(masked.kind, masked.count) for masked in found.masked] == [("email", 2), ("secret", 1)]


def test_masking_twice_changes_nothing_more() -> None:
    once = redact(f"password=x Authorization: Bearer abcdef123456 {JWT} a@b.example").text
    assert redact(once).text == once


def test_a_huge_text_is_cut_and_the_cut_counted() -> None:
    found = redact("word " * (MAX_TEXT // 4))
    assert len(found.text) <= MAX_TEXT
    assert "cut" in [masked.kind for masked in found.masked]


def test_check_digits() -> None:
    assert luhn("4242 4242 4242 4242")
    assert not luhn("4242 4242 4242 4241")
    assert iban("FR14 2004 1010 0505 0001 3M02 606")
    assert not iban("FR15 2004 1010 0505 0001 3M02 606")


@settings(deadline=None, max_examples=100)
@given(st.text(max_size=200), st.text("abcdefghij0123456789", min_size=6, max_size=20), st.text(max_size=200))
def test_a_password_is_masked_wherever_it_stands(before: str, secret: str, after: str) -> None:
    text = redact(f"{before} password={secret} {after}").text
    assert f"password={secret} " not in text
