"""Rules files, previews, files signed line by line, samples, names and scores."""

from __future__ import annotations

import gzip
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incidentlens.model.signatures import GroupRule, MaskRule, SignatureRules
from incidentlens.model.terms import Level
from incidentlens.model.yamlfile import YamlError
from incidentlens.signatures import as_messages, diverse_samples, files, load_rules, names, preview, sign_file
from incidentlens.signatures.scoring import agreement
from unit.signatures.signature_events import make_events

GOOD = """
masks:
  - {name: tenant, pattern: 'tenant-[a-z]+', replacement: <tenant>}
groups:
  - {name: declined, pattern: '(?i)card .*declined', services: [payment], signature: payment:declined}
noise:
  - {name: probe, pattern: 'GET /healthz'}
"""


def test_a_rules_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(GOOD)
    rules = load_rules(path)
    assert rules.masks == (MaskRule(name="tenant", pattern="tenant-[a-z]+", replacement="<tenant>"),)
    assert rules.groups[0].services == ("payment",)
    assert rules.noise[0].name == "probe"


@pytest.mark.parametrize(
    ("text", "line", "key", "said"),
    [
        ("masks:\n  - {name: a, pattern: '('}\n", 2, "masks[0].pattern", "no RE2 expression"),
        ("noise:\n  - name: a\n    pattern: x*\n", 3, "noise[0].pattern", "matches the empty text"),
        ("masks:\n  - {name: a, patern: x}\n", 2, "masks[0].patern", "did you mean 'pattern'"),
        ("masks:\n  - {name: a}\n", 2, "masks[0].pattern", "missing"),
    ],
)
def test_an_error_in_a_rules_file_names_file_line_and_key(
    tmp_path: Path, text: str, line: int, key: str, said: str
) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(text)
    with pytest.raises(YamlError) as caught:
        load_rules(path)
    problems = [problem for problem in caught.value.problems if problem.key == key]
    assert problems, caught.value.problems
    assert problems[0].line == line
    assert said in problems[0].message
    assert str(path) in str(caught.value)


def test_a_preview_tells_what_would_merge_split_and_become_noise() -> None:
    events = make_events(
        ["tenant red slow", "tenant blue slow", "GET /healthz ok", "card declined", "took 5 ms", "took 6 ms"]
    )
    after = SignatureRules(
        masks=(
            MaskRule(name="tenant", pattern="tenant [a-z]+"),
            MaskRule(name="five", pattern="5 ms", replacement="five"),
        ),
        groups=(GroupRule(name="declined", pattern="declined", signature="payment:declined"),),
        noise=(GroupRule(name="probe", pattern="healthz"),),
    )
    changes = {change.kind: change for change in preview(SignatureRules(), after, events)}
    assert set(changes) == {"merged", "split", "renamed", "noise"}
    assert changes["merged"].count == 2
    assert len(changes["merged"].before) == 2
    assert len(changes["split"].after) == 2
    assert changes["renamed"].after == ("payment:declined",)
    assert changes["noise"].examples == ("GET /healthz ok",)
    assert preview(after, after, events) == []


def test_every_line_of_a_file_gets_its_final_signature(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "CHUNK", 2)
    users = ["alice", "bob", "carol", "dave", "erin", "frank"]
    lines = [f"refusing order of customer {user} in the shop" for user in users] + ["", "disk \udcff full"]
    path = tmp_path / "app.log"
    path.write_bytes("\n".join(lines).encode("utf-8", "surrogateescape"))
    out = list(sign_file(path))
    assert [row["line"] for row in out] == list(range(1, 9))
    assert len({row["signature"] for row in out[:6]}) == 1
    assert out[0]["template"] == "refusing order of customer <*> in the shop"
    assert out[7]["template"].startswith("disk ")
    packed = tmp_path / "app.log.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert list(sign_file(packed)) == out


def test_an_over_long_line_is_cut_and_still_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_LINE", 100)
    path = tmp_path / "app.log"
    path.write_text("x" * 1_000 + "\nshort\n" + "y" * 100 + "\n" + "z" * 99 + "\nend")
    assert len(list(sign_file(path))) == 5


def test_a_reader_that_joins_lines_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_text("a\nb\n")
    with pytest.raises(ValueError, match="must not join"):
        list(sign_file(path, read=lambda lines: as_messages(lines).head(1)))


def test_samples_hold_first_and_last_and_differ() -> None:
    messages = ["same old text"] * 200
    messages[120] = "quite another text"
    traces = [None] * 200
    events = make_events(messages, traces=[*traces[:60], "t1", *traces[61:]])
    chosen = diverse_samples(events, limit=5)
    assert len(chosen) == 5
    assert chosen["ts"].is_sorted()
    assert chosen["ts"][0] == events["ts"][0]
    assert chosen["ts"][-1] == events["ts"][-1]
    assert "quite another text" in chosen["message"].to_list()


@given(st.integers(0, 40), st.integers(1, 12))
@settings(deadline=None, max_examples=40)
def test_samples_are_never_more_than_asked_for_or_there_are(n: int, limit: int) -> None:
    chosen = diverse_samples(make_events([f"text {i % 3}" for i in range(n)]), limit=limit)
    assert len(chosen) == min(n, limit)
    assert chosen["ts"].n_unique() == len(chosen)


def test_of_very_many_rows_samples_are_found_quickly_and_span_the_time() -> None:
    events = make_events([f"text {i}" for i in range(50_000)])
    chosen = diverse_samples(events)
    assert (chosen["ts"][0], chosen["ts"][-1]) == (events["ts"][0], events["ts"][-1])
    gaps = chosen["ts"].diff().drop_nulls()
    assert isinstance(gaps.max(), int)
    assert gaps.max() < 30_000 * 1_000_000_000  # type: ignore[operator]


def test_a_limit_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        diverse_samples(make_events(["a"]), limit=0)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("Connection pool exhausted: <*> of <*> in use", "connection_pool_exhausted_use"),
        ("java.lang.NullPointerException: Cannot invoke <*>", "null_pointer_exception_cannot_invoke"),
        ("user_id=<*> order_id=<*>", "user_id_order_id"),
        ("<*>", "message"),
        ("数据库 连接 失败", "message"),
        ("Step <*> is not done", "step_not_done"),
        ("x" * 300, "x" * 48),
    ],
)
def test_a_summary_has_the_telling_words(template: str, expected: str) -> None:
    assert names.summary(template) == expected


@pytest.mark.parametrize(
    ("template", "family"),
    [
        ("deadlock detected while waiting for transaction <*>", "db"),
        ("JWT token expired for session", "auth"),
        ("card declined by gateway", "payment"),
        ("TLS certificate expired", "tls"),
        ("kubelet: back-off pulling image", "k8s"),
        ("frobnicated", "app"),
    ],
)
def test_a_family_is_read_off_the_words(template: str, family: str) -> None:
    assert names.family(template) == family


def test_a_name_that_is_taken_gets_a_longer_hash() -> None:
    _, short = names.signature("disk full", Level.ERROR, lambda name: False)
    _, longer = names.signature("disk full", Level.ERROR, lambda name: name == short)
    assert longer.startswith(short)
    assert len(longer) == len(short) + 2


def test_agreement_counts_lines_and_groups() -> None:
    said = agreement(["a", "a", "b", "c", "c"], [1, 1, 2, 2, 3])
    assert said.ga == pytest.approx(2 / 5)
    assert said.fga == pytest.approx(2 * 1 / (3 + 3))
    assert agreement([1, 2], ["x", "y"]) == (1.0, 1.0, 2, 2, 2)
    with pytest.raises(ValueError, match="as many"):
        agreement([1], [])


def test_signing_needs_no_more_than_the_columns_it_names() -> None:
    events = as_messages(
        pl.DataFrame({"ts": [1], "service": ["s"], "stream": ["{}"], "metadata": [None], "line": ["took 5 ms"]})
    )
    assert events["message"].to_list() == ["took 5 ms"]
