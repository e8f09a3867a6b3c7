"""Masks: what counts as a value by its shape."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from incidentlens.signatures import Catalogue
from incidentlens.signatures.masks import fired, mask
from unit.signatures.signature_events import make_events


def masked(text: str) -> str:
    return str(mask(pl.Series([text]))[0])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("took 17 ms", "took <*>"),
        ("took 1.5s, 3 KB left", "took <*> left"),
        ("job 4f9a-11 done", "job <*> done"),
        ("order 550e8400-e29b-41d4-a716-446655440000 failed", "order <*> failed"),
        ("from 10.1.2.3:5432 to [fe80::1]", "from <*> to [<*>]"),
        ("GET https://shop.example.com/cart?id=7 failed", "GET <*> failed"),
        ("mail to ann.lee+x@example.org bounced", "mail to <*> bounced"),
        ("open /var/lib/app/data.db: permission denied", "open <*>: permission denied"),
        (r"open C:\Windows\system.ini failed", "open <*> failed"),
        ('relation "orders" does not exist', "relation <*> does not exist"),
        ("unknown column 'colour' in table", "unknown column <*> in table"),
        ("can't find child, won't retry", "can't find child, won't retry"),
        ("pool=main size=10 idle=", "pool=<*> size=<*> idle="),
        ("code = E_FAIL, next = ", "code = <*>, next ="),
        ("host= web1 ready", "host= <*> ready"),
        ("at Mon Jan 12 10:11:12 UTC 2026 it ended", "at <*> it ended"),
        ("at 2026-01-12T10:11:12.123Z it ended", "at <*> it ended"),
        ("session closed for user alice", "session closed for user <*>"),
        ("peer db1.example.com went away", "peer <*> went away"),
        ("java.io.IOException: broken pipe", "java.io.IOException: broken pipe"),
        ("progress ......... 10%", "progress .. <*>"),
        ("values 1, 2, 3 and 4 5 6", "values <*> and <*>"),
        ("temperature -3 to +4", "temperature <*> to <*>"),
        ('"GET /a HTTP/1.1" 200', "GET <*>"),
        ('level=error msg="pool exhausted" wait=30s', "level=<*> msg: pool exhausted wait=<*>"),
        ('{"msg": "pool exhausted", "n": 3}', "{msg: pool exhausted, n=<*>}"),
        ("\x1b[31mred\x1b[0m alert", "red alert"),
        ("nul\x00byte\tand  blanks", "nul byte and blanks"),
    ],
)
def test_values_are_masked_and_words_are_kept(text: str, expected: str) -> None:
    assert masked(text) == expected


_TEXT = st.one_of(
    st.text(max_size=80),
    st.text(alphabet="ab0 1.:/=,-'\"<*>[](){}\\|@#\n\t_éü", max_size=60),
    st.lists(
        st.sampled_from(["<*>", "a=b", "x = y", "1.2.3.4:5", "k: 'v'", '"q"', "10 ms", "/a/b", "w", "error="]),
        max_size=8,
    ).map(" ".join),
)


@given(_TEXT)
@settings(deadline=None, max_examples=300)
@example("a= b= c")
@example("=0=0")
@example('msg="a" msg="b" "c":"d"')
def test_masking_a_masked_text_changes_nothing(text: str) -> None:
    once = masked(text)
    assert masked(once) == once


@given(_TEXT)
@settings(deadline=None, max_examples=100)
def test_no_digit_and_no_control_character_survives(text: str) -> None:
    out = masked(text)
    assert not any(char in "0123456789" or char < " " or char == "\x7f" for char in out)


def test_the_masks_that_fired_are_told_in_order() -> None:
    text, steps = fired("user=bob waited 10 ms")
    assert text == "user=<*> waited <*>"
    assert [each.name for each, _ in steps][:1] == ["digits"]
    assert {"value", "unit"} <= {each.name for each, _ in steps}
    assert steps[-1][1] == text


def test_a_megabyte_of_anything_is_masked_in_time() -> None:
    for hostile in ("a" * 1_000_000, "0 " * 500_000, "a=" * 500_000, "'\"" * 500_000, "[a," * 300_000, "-." * 500_000):
        assert masked(hostile) is not None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Failed password for root from 10.0.0.1 port 22", "Failed password for <*> from <*> port <*>"),
        ("Failed password for invalid user bob from 10.0.0.1", "Failed password for invalid user <*> from <*>"),
        ("Invalid user input", "Invalid user input"),
        ("authentication failures for admin [preauth]", "authentication failures for <*> [preauth]"),
        ("value is (null) now", "value is <*> now"),
        ("Fan speeds ( 3552 **** 3515 )", "Fan speeds ( <*> )"),
        ("pulled registry.example/team/app ok", "pulled <*> ok"),
        ("started com.example.mail/.MailService", "started <*>"),
    ],
)
def test_users_missing_values_and_dotted_paths_are_values(text: str, expected: str) -> None:
    assert masked(text) == expected


def test_three_dotted_names_in_one_place_are_a_value_and_three_plain_words_are_not() -> None:
    names = ["com.example.sync", "com.example.mail", "org.example.backup.daily"]
    dotted = Catalogue().sign(make_events([f"{name}: the job was told to run" for name in names]))
    assert dotted["signature"].n_unique() == 1
    plain = Catalogue().sign(
        make_events([f"{name}: the job was told to run now" for name in ("sync", "mail", "daily")])
    )
    assert plain["signature"].n_unique() == 3
