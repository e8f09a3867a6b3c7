"""The catalogue: names that mean the same everywhere and later."""

from __future__ import annotations

import random
import re
import time
from collections import defaultdict

import polars as pl
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incidentlens.model.records import SIGNED
from incidentlens.model.signatures import GroupRule, MaskRule, SignatureRules, Template
from incidentlens.model.terms import Level
from incidentlens.signatures import Catalogue, RuleError
from incidentlens.signatures import catalogue as catalogue_module
from incidentlens.signatures.explain import MAX_TEXT
from incidentlens.signatures.merging import SEVERAL
from unit.signatures.signature_events import make_events

USERS = ["alice", "bob", "carol", "dave", "erin", "frank", "grace"]


def groups(catalogue: Catalogue, signed: pl.DataFrame) -> set[frozenset[str]]:
    """Which messages are together, by what their names lead to today."""
    found: dict[str, set[str]] = defaultdict(set)
    for message, signature in signed.select("message", "signature").iter_rows():
        found[catalogue.resolve(signature)].add(message)
    return {frozenset(messages) for messages in found.values()}


def test_rows_stay_in_order_and_get_two_columns() -> None:
    events = make_events(["took 5 ms", "disk full", "took 9 ms", None, ""])
    signed = Catalogue().sign(events)
    assert dict(signed.schema) == SIGNED
    assert signed.drop("signature", "template").equals(events)
    assert signed["signature"][0] == signed["signature"][2] != signed["signature"][1]
    assert signed["template"][0] == "took <*>"
    assert signed["signature"].null_count() == 0


def test_an_empty_frame_is_signed_as_an_empty_frame() -> None:
    signed = Catalogue().sign(make_events([]))
    assert dict(signed.schema) == SIGNED
    assert signed.is_empty()


def test_a_name_says_family_level_and_words() -> None:
    [name] = Catalogue().sign(make_events(["Connection pool exhausted: 50 of 50 connections in use"]))["signature"]
    assert re.fullmatch(r"[a-z0-9]+:ERROR:connection_pool_exhausted[a-z_]*#[0-9a-f]{4}", name)
    assert name.rpartition("#")[2].isalnum()


def test_the_same_message_at_another_level_is_another_signature() -> None:
    signed = Catalogue().sign(make_events(["disk full", "disk full"], level=["error", "warn"]))
    assert signed["signature"].n_unique() == 2
    assert signed["template"].n_unique() == 1


def test_the_innermost_exception_is_what_counts_not_the_message_around_it() -> None:
    signed = Catalogue().sign(
        make_events(
            ["request 17 failed", "job 5 gave up", "request 18 failed"],
            exceptions=["java.sql.SQLException: timeout after 30 s", "java.sql.SQLException: timeout after 5 s", None],
        )
    )
    assert signed["signature"][0] == signed["signature"][1] != signed["signature"][2]
    assert signed["template"][0] == "java.sql.SQLException: timeout after <*>"
    assert ":sql_exception_timeout" in signed["signature"][0]


def test_only_the_first_line_of_a_message_counts() -> None:
    signed = Catalogue().sign(make_events(["query failed\n  SELECT a", "query failed\n  SELECT b\n", "\nquery failed"]))
    assert signed["signature"].n_unique() == 1


def test_one_word_that_takes_many_values_makes_one_signature() -> None:
    catalogue = Catalogue()
    signed = catalogue.sign(make_events([f"refusing order of customer {user} in the shop" for user in USERS]))
    assert signed["signature"].n_unique() == 1
    assert signed["template"][0] == "refusing order of customer <*> in the shop"


def test_few_values_and_outcomes_stay_apart() -> None:
    few = [f"replica set member is now {state} in this cluster" for state in ("primary", "secondary", "arbiter")]
    outcomes = [
        f"backup of the main database has {word} on this node"
        for word in ("failed", "succeeded", "started", "stopped", "expired", "timeout")
    ]
    assert Catalogue().sign(make_events(few + outcomes))["signature"].n_unique() == len(few) + len(outcomes)


def test_exceptions_of_other_types_stay_apart() -> None:
    kinds = [
        f"while reading the shared input file got {kind}Exception here"
        for kind in ("Null", "Io", "Sql", "Range", "Cast", "Parse")
    ]
    assert Catalogue().sign(make_events(kinds))["signature"].n_unique() == len(kinds)


def test_an_old_name_leads_to_the_new_one_when_templates_prove_to_be_one() -> None:
    catalogue = Catalogue()
    first = catalogue.sign(make_events([f"refusing order of customer {user} in the shop" for user in USERS[:3]]))
    early = set(first["signature"])
    assert len(early) == 3
    later = catalogue.sign(make_events([f"refusing order of customer {user} in the shop" for user in USERS[3:]]))
    [name] = set(later["signature"])
    assert {catalogue.resolve(old) for old in early} == {name}
    old = catalogue.template(next(iter(early)))
    assert old is not None
    assert old.alias_of == name
    assert catalogue.resolve("never:HEARD:of#0000") == "never:HEARD:of#0000"


def test_words_in_two_places_prove_to_be_values_when_there_are_many() -> None:
    rng = random.Random(7)
    words = ["".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(7)) for _ in range(400)]
    lines = [f"player {words[2 * i]} joined the room {words[2 * i + 1]} of our lobby" for i in range(SEVERAL * 3)]
    catalogue = Catalogue()
    signed = catalogue.sign(make_events(lines))
    assert {catalogue.resolve(name) for name in signed["signature"]} == {signed["signature"][0]}
    assert signed["template"][0] == "player <*> joined the room <*> of our lobby"
    again = catalogue.sign(make_events(["player zoe joined the room quiet of our lobby"]))
    assert again["signature"][0] == signed["signature"][0]


@pytest.mark.parametrize("size", [3, 10, 1_000])
def test_a_restart_gives_the_same_names_merges_included(size: int) -> None:
    rng = random.Random(3)
    words = ["".join(rng.choice("abcdefghijklmnop") for _ in range(7)) for _ in range(200)]
    history = (
        [f"refusing order of customer {user} in the shop" for user in USERS]
        + [f"player {words[2 * i]} joined the room {words[2 * i + 1]} of our lobby" for i in range(60)]
        + ["disk full", "took 5 ms", "pool main exhausted"]
    )
    catalogue = Catalogue()
    for begin in range(0, len(history), size):
        catalogue.sign(make_events(history[begin : begin + size]))
    saved = catalogue.templates()
    random.Random(1).shuffle(saved)
    again = Catalogue(saved)
    fresh = ["refusing order of customer zoe in the shop", "player pim joined the room pam of our lobby", "took 8 ms"]
    after = again.sign(make_events(fresh))
    before = catalogue.sign(make_events(fresh))
    assert before["signature"].to_list() == after["signature"].to_list()
    assert before["template"].to_list() == [
        "refusing order of customer <*> in the shop",
        "player <*> joined the room <*> of our lobby",
        "took <*>",
    ]
    assert {one.signature for one in again.templates()} == {one.signature for one in saved}
    before = catalogue.sign(make_events(history))
    assert before["signature"].to_list() == again.sign(make_events(history))["signature"].to_list()


def test_changed_gives_each_new_or_counted_template_once() -> None:
    catalogue = Catalogue()
    catalogue.sign(make_events(["disk full", "disk full", "took 5 ms"], start=10))
    changed = {template.template: template for template in catalogue.changed()}
    assert changed["disk full"].count == 2
    assert changed["disk full"].first_seen == 10
    assert changed["disk full"].last_seen == 10 + 1_000_000_000
    assert catalogue.changed() == []
    catalogue.sign(make_events(["took 7 ms"]))
    assert [template.template for template in catalogue.changed()] == ["took <*>"]
    assert Catalogue(catalogue.templates()).changed() == []


_LINES = st.lists(
    st.one_of(
        st.sampled_from(
            [f"refusing order of customer {user} in the shop" for user in USERS]
            + [f"waited {n} ms for lock" for n in range(9)]
            + [
                "disk full",
                "<*> in the log",
                "a<*>b",
                "x" * 300,
                "$1 (?:[a-z]+)* \\d",
                "\x00\x01 nul",
                "ünïcode 7 größe",
            ]
        ),
        st.text(max_size=40),
    ),
    min_size=1,
    max_size=40,
)


@given(_LINES, st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=60)
def test_the_order_of_rows_in_a_batch_does_not_matter(lines: list[str], rng: random.Random) -> None:
    shuffled = list(lines)
    rng.shuffle(shuffled)
    one, other = Catalogue(), Catalogue()
    first = dict(one.sign(make_events(lines)).select("message", "signature").iter_rows())
    second = dict(other.sign(make_events(shuffled)).select("message", "signature").iter_rows())
    assert first == second


@given(_LINES, st.integers(1, 7))
@settings(deadline=None, max_examples=60)
def test_the_cut_into_batches_does_not_matter_in_the_end(lines: list[str], size: int) -> None:
    whole, parts = Catalogue(), Catalogue()
    together = groups(whole, whole.sign(make_events(lines)))
    signed = pl.concat([parts.sign(make_events(lines[i : i + size])) for i in range(0, len(lines), size)])
    assert groups(parts, signed) == together


@given(st.lists(st.text(max_size=200), max_size=30))
@settings(deadline=None, max_examples=60)
def test_any_text_is_signed_and_explained_alike(lines: list[str]) -> None:
    catalogue = Catalogue()
    signed = catalogue.sign(make_events(lines))
    for message, signature, template in signed.select("message", "signature", "template").iter_rows():
        assert "\x00" not in template
        said = catalogue.explain(message, Level.ERROR)
        assert (said.signature, said.template) == (signature, template)


def test_another_replicas_templates_are_learnt_and_aliases_followed() -> None:
    one, other = Catalogue(), Catalogue()
    one.sign(make_events([f"refusing order of customer {user} in the shop" for user in USERS]))
    [name] = set(other.sign(make_events(["refusing order of customer alice in the shop"]))["signature"])
    other.learn(one.templates())
    assert other.resolve(name) == one.resolve(name) != name


def test_two_replicas_that_learnt_apart_agree_on_every_name_once_they_have_exchanged_what_changed() -> None:
    lines = [f"refusing order of customer {user} in the shop" for user in USERS]
    lines += [f"cannot mount volume {user} on node {other}" for user in USERS for other in USERS[::3]]
    lines += [f"connection to peer {n} was lost after {n} ms" for n in range(40)]
    one, other = Catalogue(), Catalogue()
    before = {name for part, replica in ((lines[::2], one), (lines[1::2], other))
              for name in replica.sign(make_events(part))["signature"]}  # fmt: skip
    for _ in range(2):  # what a merge of both knowledge proves goes back as well
        one.learn(other.templates())
        other.learn(one.templates())
    answers = [replica.sign(make_events(lines))["signature"].to_list() for replica in (one, other)]
    assert answers[0] == answers[1]
    assert all(one.resolve(name) == other.resolve(name) for name in before)
    restarted = Catalogue(one.templates())
    assert restarted.sign(make_events(lines))["signature"].to_list() == answers[0]
    assert all(restarted.resolve(name) == one.resolve(name) for name in before)


def test_an_alias_that_leads_in_a_circle_does_no_harm() -> None:
    circle = [
        Template(
            signature=a, template=f"text of {a}", family="app", level=Level.ERROR, first_seen=0, last_seen=0, alias_of=b
        )
        for a, b in (("app:ERROR:a#1", "app:ERROR:b#2"), ("app:ERROR:b#2", "app:ERROR:a#1"))
    ]
    catalogue = Catalogue(circle)
    assert catalogue.resolve("app:ERROR:a#1") in {"app:ERROR:a#1", "app:ERROR:b#2"}
    assert len(catalogue.sign(make_events(["text of nothing"]))) == 1


def test_users_masks_groups_and_noise_come_first() -> None:
    rules = SignatureRules(
        masks=(MaskRule(name="tenant", pattern="tenant-[a-z]+", replacement="<tenant>"),),
        groups=(GroupRule(name="declined cards", pattern="(?i)card .*declined", services=("payment",)),),
        noise=(GroupRule(name="probe", pattern="^GET /healthz"),),
    )
    messages = [
        "tenant-red is slow",
        "tenant-blue is slow",
        "Card of bob declined",
        "card declined: funds",
        "GET /healthz 200",
        "card declined",
    ]
    services = ["shop", "shop", "payment", "payment", "shop", "shop"]
    signed = Catalogue(rules=rules).sign(make_events(messages, service=services))
    names = signed["signature"].to_list()
    assert names[0] == names[1]
    assert signed["template"][0] == "<tenant> is slow"
    assert names[2] == names[3]
    assert names[2].startswith("group:ERROR:declined_cards#")
    assert names[4].startswith("noise:ERROR:probe#")
    assert not names[5].startswith("group:")


def test_a_groups_own_name_is_used_as_it_stands() -> None:
    rules = SignatureRules(groups=(GroupRule(name="x", pattern="declined", signature="payment:declined"),))
    assert Catalogue(rules=rules).sign(make_events(["card declined"]))["signature"].to_list() == ["payment:declined"]


@pytest.mark.parametrize("pattern", ["(", "a{1,99999}", "(?=look)", "", "x*", "a" * 3_000])
def test_a_rule_that_cannot_be_used_is_refused_with_its_name(pattern: str) -> None:
    with pytest.raises(RuleError, match="tenant"):
        Catalogue(rules=SignatureRules(masks=(MaskRule(name="tenant", pattern=pattern),)))


def test_explain_tells_masks_and_merges() -> None:
    catalogue = Catalogue()
    catalogue.sign(make_events([f"refusing order 17 of customer {user} in the shop" for user in USERS]))
    said = catalogue.explain("refusing order 99 of customer zoe in the shop", Level.ERROR)
    assert said.masked == "refusing order <*> of customer zoe in the shop"
    assert said.template == "refusing order <*> of customer <*> in the shop"
    assert any(mask == "digits" for mask, _, _ in said.masks)
    assert any("differ in one word only" in reason for reason in said.reasons)
    assert "not seen before" in " ".join(catalogue.explain("something else", Level.ERROR).reasons)


def test_what_does_not_fit_the_catalogue_is_counted_under_one_name() -> None:
    catalogue = Catalogue(max_templates=5)
    signed = catalogue.sign(make_events([f"event {chr(97 + i)} {chr(98 + i)} happened" for i in range(20)]))
    over = signed.filter(pl.col("signature") == "other:ERROR:too_many_signatures#overflow")
    assert len(over) == catalogue.stats().overflowed
    assert len(over) >= 14
    [entry] = [template for template in catalogue.changed() if template.family == "other"]
    assert entry.count == len(over)
    assert signed["signature"][0] == catalogue.sign(make_events(["event a b happened"]))["signature"][0]


def random_words(rng: random.Random, n: int) -> str:
    return " ".join("".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=6)) for _ in range(n))


@pytest.mark.slow
def test_a_hundred_thousand_templates_stay_within_memory() -> None:
    rng = random.Random(5)
    catalogue = Catalogue()
    process = psutil.Process()
    before = process.memory_info().rss
    for _ in range(4):
        catalogue.sign(make_events([random_words(rng, rng.randint(3, 9)) for _ in range(30_000)]))
    used = process.memory_info().rss - before
    stats = catalogue.stats()
    assert 100_000 <= stats.templates <= 100_001
    assert stats.overflowed >= 19_000
    assert used < 400_000_000


@pytest.mark.slow
def test_a_million_distinct_signatures_in_one_go_are_bounded_and_counted() -> None:
    rng = random.Random(9)
    base = [random_words(rng, 3) for _ in range(1_000)]
    lines = [f"{base[i % 1000]} {base[i // 1000]}" for i in range(1_000_000)]
    catalogue = Catalogue(max_templates=20_000)
    started = time.process_time()
    signed = catalogue.sign(make_events(lines))
    assert time.process_time() - started < 60
    stats = catalogue.stats()
    assert stats.templates <= 20_001
    assert stats.overflowed == (signed["signature"] == "other:ERROR:too_many_signatures#overflow").sum()
    assert stats.overflowed + catalogue_module.MAX_NEW_A_BATCH >= 1_000_000


def test_hostile_lines_are_signed_in_bounded_time_and_size() -> None:
    lines = [
        "a" * 1_000_000,
        "a b " * 250_000,
        "<*>" * 300_000,
        "\x00" * 1_000_000,
        "(" * 1_000_000,
        "a=" * 500_000,
        "'\"" * 500_000,
    ]
    catalogue = Catalogue()
    started = time.process_time()
    signed = catalogue.sign(make_events(lines))
    assert time.process_time() - started < 10
    assert all(len(template) <= 4 * MAX_TEXT for template in signed["template"])
    assert all(len(name) < 120 for name in signed["signature"])
    assert catalogue.stats().truncated == len(lines)


def test_an_empty_exception_and_a_level_nobody_knows_do_no_harm() -> None:
    signed = Catalogue().sign(make_events(["disk full"], exceptions=[""], level="loud"))
    assert signed["template"].to_list() == ["disk full"]
    assert ":UNKNOWN:" in signed["signature"][0]
