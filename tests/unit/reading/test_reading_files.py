"""Records out of files: recorded ones and plain logs, compressed, broken, endless."""

from __future__ import annotations

import gzip
import io
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import orjson
import polars as pl
import pytest

from incidentlens.intake.files import MAX_LINE, FileError, iso, parse_file, read_records
from incidentlens.model.records import LINES

NOON = 1_700_000_000_000_000_000


def record(n: int, line: str = "x", **labels: str) -> bytes:
    return orjson.dumps({"ts": NOON + n, "labels": labels, "line": line})


def all_of(path: Path | str, **options: object) -> tuple[pl.DataFrame, list[str]]:
    told: list[str] = []
    frames = list(read_records(path, warn=told.append, **options))  # type: ignore[arg-type]
    for frame in frames:
        assert dict(frame.schema) == LINES
    return pl.concat(frames) if frames else pl.DataFrame(schema=LINES), told


def test_recorded_lines_come_back_as_they_were_pushed(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    first = {"ts": NOON, "labels": {"service": "pay", "pod": "p"}, "line": "a", "metadata": {"trace_id": "t"}}
    path.write_bytes(orjson.dumps(first) + b"\n" + record(1, "b", app="web") + b"\n" + record(2, "c") + b"\n")
    records, told = all_of(path)
    assert records.rows() == [
        (NOON, "pay", '{"pod":"p","service":"pay"}', '{"trace_id":"t"}', "a"),
        (NOON + 1, "web", '{"app":"web"}', None, "b"),
        (NOON + 2, "unknown", "{}", None, "c"),
    ]
    assert told == []


def test_the_service_is_the_label_asked_for_where_it_is_there(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(record(0, service="s", team="t") + b"\n" + record(1, service="s"))
    assert all_of(path, service_label="team")[0]["service"].to_list() == ["t", "s"]


def test_a_compressed_file_is_told_by_its_content(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(gzip.compress(record(0, "a", service="s")))
    assert all_of(path)[0]["line"].to_list() == ["a"]


def test_broken_records_are_left_out_and_told_of_once(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    broken = [
        b"{",
        b"[1]",
        b'{"ts":"x","line":"a"}',
        b'{"ts":1}',
        b'{"ts":-5,"line":"a"}',
        b'{"ts":1,"line":"a","labels":3}',
    ]
    path.write_bytes(b"\n".join([record(0), *broken, record(1), b""]))
    records, told = all_of(path)
    assert len(records) == 2
    assert len(told) == 1
    assert "6 of 8 lines" in told[0]
    assert "line 2 is no JSON" in told[0]


def test_a_jsonl_that_holds_no_records_is_a_log_of_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "app.jsonl"
    path.write_text('{"ts":"2024-01-01T10:00:00Z","level":"error","msg":"boom"}\n' * 2)
    records, told = all_of(path)
    assert records["service"].to_list() == ["app", "app"]
    assert records["ts"].to_list() == [1_704_103_200_000_000_000] * 2
    assert told == []


def test_a_plain_log_takes_its_times_from_its_lines(tmp_path: Path) -> None:
    path = tmp_path / "shop.log.1"
    path.write_text("starting\n2024-01-01 10:00:00 INFO a\n  more\n2024-01-01 10:00:05 INFO b\nlast\n")
    records, _ = all_of(path)
    begin = 1_704_103_200_000_000_000
    assert records["ts"].to_list() == [begin, begin, begin, begin + 5 * 10**9, begin + 5 * 10**9]
    assert set(records["service"]) == {"shop"}
    assert set(records["stream"]) == {'{"filename":"shop.log.1","service":"shop"}'}


def test_a_log_without_any_time_is_spread_a_millisecond_apart_from_the_file_s_time(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text("a\nb\nc\n")
    os.utime(path, ns=(NOON, NOON))
    assert all_of(path)[0]["ts"].to_list() == [NOON, NOON + 10**6, NOON + 2 * 10**6]


def test_a_year_left_out_is_the_file_s(tmp_path: Path) -> None:
    path = tmp_path / "messages"
    path.write_text("Nov 14 10:00:00 h a[1]: x\nNov 13 10:00:00 h a[1]: y\n")
    os.utime(path, ns=(NOON, NOON))
    assert iso(all_of(path)[0]["ts"][0]) == "2023-11-14T10:00:00.000000000Z"


def test_standard_input_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.BufferedReader(io.BytesIO(b"2024-01-01 10:00:00 INFO a\nb\n"))  # type: ignore[arg-type]
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=stream))
    records, _ = all_of("-")
    assert records["service"].to_list() == ["unknown", "unknown"]
    assert records["line"].to_list() == ["2024-01-01 10:00:00 INFO a", "b"]


def test_bytes_that_are_no_utf8_and_line_ends_of_windows_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_bytes(b"\xef\xbb\xbf2024-01-01 10:00:00 INFO caf\xe9\r\n\x00\xff\r\n")
    records, _ = all_of(path)
    assert records["line"].to_list() == ["2024-01-01 10:00:00 INFO caf\ufffd", "\x00\ufffd"]


def test_a_line_without_end_is_cut_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_bytes(b"a\n" + b"x" * (MAX_LINE * 2 + 5) + b"\nb\n")
    records, told = all_of(path)
    assert records["line"].str.len_bytes().to_list() == [1, MAX_LINE, 1]
    assert told == ["x.log: 1 lines were cut at 8 MiB"]


def test_an_empty_file_has_no_records(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.touch()
    assert all_of(path)[0].is_empty()
    assert list(parse_file(path)) == []


@pytest.mark.parametrize("content", [None, b"\x1f\x8bbroken"], ids=["missing", "damaged"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "gone.gz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(FileError, match=r"cannot read .*gone\.gz: "):
        list(read_records(path))


def test_batches_end_between_events(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    event = ["2024-01-01 10:00:00 ERROR boom", "java.lang.Error: x", *[f"\tat a.B.c(B.java:{n})" for n in range(9)]]
    path.write_text("\n".join(event * 200) + "\n")
    frames = list(read_records(path, batch=100))
    assert sum(len(frame) for frame in frames) == 2200
    assert all(frame["line"][0].startswith("2024") for frame in frames)
    assert max(len(frame) for frame in frames) < 300


def test_recorded_streams_are_carried_over_a_batch_s_end_each_by_itself(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    lines = []
    for n in range(300):
        lines.append(
            record(n * 2, "2024-01-01 10:00:00 ERROR boom" if n % 5 == 0 else f"\tat a.B.c(B.java:{n})", service="a")
        )
        lines.append(record(n * 2 + 1, f"2024-01-01 10:00:00 INFO served {n}", service="b"))
    path.write_bytes(b"\n".join(lines))
    frames = list(read_records(path, batch=64))
    assert sum(len(frame) for frame in frames) == 600
    for frame in frames:
        assert frame.filter(pl.col("service") == "a")["line"][0].startswith("2024")


def test_parsing_gives_one_object_an_event_with_its_lines(tmp_path: Path) -> None:
    path = tmp_path / "shop.log"
    path.write_text("2024-01-01T10:00:00.5Z ERROR boom\n\tat a.B.c(B.java:1)\n\n2024-01-01T10:00:01Z INFO fine\n\n")
    always = {"service": "shop", "format": "stamped"}
    assert list(parse_file(path)) == [
        {"ts": "2024-01-01T10:00:00.500000000Z", "level": "error", "message": "boom", "lines": [1, 2], **always},
        {"ts": "2024-01-01T10:00:01.000000000Z", "level": "info", "message": "fine", "lines": [4, 4], **always},
    ]


def test_parsing_plain_text_states_no_time(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_text("hello\n")
    assert [event["ts"] for event in parse_file(path)] == [None]


def test_parsing_counts_lines_on_over_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("incidentlens.intake.files.BATCH", 50)
    path = tmp_path / "x.log"
    path.write_text("".join(f"2024-01-01 10:00:00 INFO served {n}\n" for n in range(240)))
    assert [event["lines"] for event in parse_file(path)] == [[n, n] for n in range(1, 241)]


def test_parsing_recorded_lines_counts_the_file_s_lines(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(record(0, "boom failed", service="a") + b"\n{\n" + record(1, "\tat a.B.c(B.java:1)", service="a"))
    events = list(parse_file(path, warn=lambda text: None))
    assert [event["lines"] for event in events] == [[1, 3]]
    assert events[0]["ts"] == "2023-11-14T22:13:20.000000000Z"
