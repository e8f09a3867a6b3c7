"""What is read out of single lines: their time, level, service, trace and message, format by format."""

from __future__ import annotations

import csv
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from incidentlens.intake.reading import EventReader
from incidentlens.model.records import LINES, stream_key

FORMATS = Path(__file__).parent / "data" / "formats"
NOW = 1_755_000_000_000_000_000  # 2025-08-12


def read(
    lines: list[str], labels: dict[str, str] | None = None, metadata: str | None = None, service: str = "unknown"
) -> pl.DataFrame:
    count = len(lines)
    return EventReader().read(
        pl.DataFrame(
            {
                "ts": [NOW] * count,
                "service": [service] * count,
                "stream": [stream_key(labels or {"job": "x"})] * count,
                "metadata": [metadata] * count,
                "line": lines,
            },
            schema=LINES,
        )
    )


def utc(ns: int | None) -> str | None:
    return None if ns is None else (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=ns // 1000)).isoformat()


def truth() -> dict[str, list[dict[str, str]]]:
    rows: dict[str, list[dict[str, str]]] = defaultdict(list)
    with (FORMATS / "truth.csv").open() as file:
        for row in csv.DictReader(file):
            rows[row["file"]].append(row)
    return rows


def test_times_and_levels_of_sixty_seven_formats_are_right_in_95_of_100_lines() -> None:
    asked = {"mmss": 0, "level": 0}
    right = {"mmss": 0, "level": 0}
    for name, rows in truth().items():
        text = (FORMATS / name).read_bytes().decode("utf-8", "replace")
        events = {event["first"]: event for event in read(text.removesuffix("\n").split("\n")).iter_rows(named=True)}
        for row in rows:
            event = events.get(int(row["line"]) - 1)
            at = utc(event["event_ts"]) if event else None
            found = {"mmss": at[14:19] if at else None, "level": event["level"] if event else None}
            for field in asked:
                if row[field]:
                    asked[field] += 1
                    right[field] += found[field] in row[field].split("|")
    assert right["mmss"] >= 0.99 * asked["mmss"]
    assert right["level"] >= 0.99 * asked["level"]


@pytest.mark.parametrize("path", sorted(FORMATS.glob("logfile_*")), ids=lambda path: path.name)
def test_no_file_makes_the_reader_raise_or_lose_a_line(path: Path) -> None:
    lines = path.read_bytes().decode("utf-8", "replace").split("\n")
    events = read(lines)
    covered = [n for first, last in events.select("first", "last").iter_rows() for n in range(first, last + 1)]
    assert sorted(set(covered)) == list(range(len(lines)))


# One line each: format, level, time, message.
ONE_LINE = [
    (
        "a log4j line",
        "2015-07-29 17:41:44,747 - WARN  [QuorumPeer[myid=1]/0:0:0:0:2181:Election@774] - Notification time out",
        ("stamped", "warn", "2015-07-29T17:41:44.747000+00:00", "Notification time out"),
    ),
    (
        "a line of pino, whose levels are tens",
        '{"level":50,"time":1700000000123,"pid":1,"hostname":"h","msg":"request failed","err":{"message":"bad"}}',
        ("json", "error", "2023-11-14T22:13:20.123000+00:00", "request failed: bad"),
    ),
    (
        "an ECS line",
        '{"@timestamp":"2024-01-01T10:00:00.5+02:00","log.level":"WARN","message":"slow","ecs.version":"1.2"}',
        ("json", "warn", "2024-01-01T08:00:00.500000+00:00", "slow"),
    ),
    (
        "a GCP line",
        '{"severity":"CRITICAL","timestamp":"2024-01-01T10:00:00Z","jsonPayload":{"message":"down"}}',
        ("json", "fatal", "2024-01-01T10:00:00+00:00", "down"),
    ),
    (
        "a Serilog line in compact form",
        '{"@t":"2024-01-01T10:00:00.1Z","@mt":"Order {Id} failed","@l":"Error","Id":7}',
        ("json", "error", "2024-01-01T10:00:00.100000+00:00", "Order {Id} failed"),
    ),
    (
        "a journald line",
        '{"__REALTIME_TIMESTAMP":"1534860261221373","PRIORITY":"3","MESSAGE":"unit failed","_PID":"1"}',
        ("json", "error", "2018-08-21T14:04:21.221373+00:00", "unit failed"),
    ),
    (
        "a MongoDB line",
        '{"t":{"$date":"2026-03-10T20:58:10.004+00:00"},"s":"W","c":"STORAGE","id":1,"msg":"Unclean shutdown"}',
        ("json", "warn", "2026-03-10T20:58:10.004000+00:00", "Unclean shutdown"),
    ),
    (
        "an OTLP line",
        '{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"pay"}}]},'
        '"scopeLogs":[{"logRecords":[{"timeUnixNano":"1700000000000000000","severityNumber":17,'
        '"body":{"stringValue":"declined"},"traceId":"5b8aa5a2d2c872e8"}]}]}]}',
        ("json", "error", "2023-11-14T22:13:20+00:00", "declined"),
    ),
    (
        "an access log line in JSON without a message",
        '{"started_at":1490386367764.0,"request":{"method":"GET","uri":"/a/5?x=1"},"response":{"status":500}}',
        ("json", "unknown", "2017-03-24T20:12:47.764000+00:00", "GET /a/5 500"),
    ),
    (
        "a logfmt line with an error",
        'time="2021-09-15T21:17:11Z" level=warning msg="Failed to delete" error="pod is not found" pod=a-b',
        ("logfmt", "warn", "2021-09-15T21:17:11+00:00", "Failed to delete: pod is not found"),
    ),
    (
        "a logfmt line whose error is nil",
        "ts=2025-08-04T11:53:27Z level=info msg=done err=nil",
        ("logfmt", "info", "2025-08-04T11:53:27+00:00", "done"),
    ),
    (
        "a logfmt line without a message",
        "ts=2025-08-04T11:53:27Z caller=logging.go:85 method=Health result=2 took=25µs",
        ("logfmt", "unknown", "2025-08-04T11:53:27+00:00", "method=Health result=2 took=25µs"),
    ),
    (
        "an access log line of a server's failure",
        '10.1.2.3 - bob [15/Feb/2013:06:00:31 +0000] "POST /pay?id=7 HTTP/1.1" 502 12 "-" "curl"',
        ("access", "error", "2013-02-15T06:00:31+00:00", "POST /pay 502"),
    ),
    (
        "an access log line of a client's error",
        '10.1.2.3 - - [15/Feb/2013:06:00:31 +0000] "GET /nope HTTP/1.1" 404 0 "-" "-"',
        ("access", "info", "2013-02-15T06:00:31+00:00", "GET /nope 404"),
    ),
    (
        "an Envoy access log line",
        '[2016-04-15T20:17:00.310Z] "POST /api/v1 HTTP/2" 503 - 154 0 226 100 "10.0.35.28" "agent" "cc21d9b0"',
        ("envoy", "error", "2016-04-15T20:17:00.310000+00:00", "POST /api/v1 503"),
    ),
    (
        "a line of nginx's error log",
        "2024/01/02 10:00:00 [error] 12#12: *5678 connect() failed (111: Connection refused) to upstream",
        (
            "nginx",
            "error",
            "2024-01-02T10:00:00+00:00",
            "connect() failed (111: Connection refused) to upstream",
        ),
    ),
    (
        "a line of Apache's error log",
        "[Sun Dec 04 04:47:44.123456 2005] [error] mod_jk child workerEnv in error state 6",
        ("stamped", "error", "2005-12-04T04:47:44.123456+00:00", "mod_jk child workerEnv in error state 6"),
    ),
    (
        "an RFC 3164 line",
        "<34>Oct 11 22:14:15 mymachine su[77]: 'su root' failed for lonvick on /dev/pts/8",
        ("syslog", "fatal", "2024-10-11T22:14:15+00:00", "'su root' failed for lonvick on /dev/pts/8"),
    ),
    (
        "an RFC 5424 line",
        '<165>1 2003-10-11T22:14:15.003Z host evntslog - ID47 [ex@32473 iut="3" s="a]b"] An application event',
        ("syslog5424", "info", "2003-10-11T22:14:15.003000+00:00", "An application event"),
    ),
    (
        "an OpenSSH line",
        "Dec 10 06:55:46 LabSZ sshd[24200]: Failed password for invalid user webmaster from 173.234.31.186",
        (
            "syslog",
            "error",
            "2024-12-10T06:55:46+00:00",
            "Failed password for invalid user webmaster from 173.234.31.186",
        ),
    ),
    (
        "a klog line",
        "E0102 10:00:00.000123       7 reflector.go:138] Failed to watch",
        ("klog", "error", "2025-01-02T10:00:00.000123+00:00", "Failed to watch"),
    ),
    (
        "an HDFS line",
        "081109 203615 148 INFO dfs.DataNode$PacketResponder: PacketResponder 1 terminating",
        ("stamped", "info", "2008-11-09T20:36:15+00:00", "PacketResponder 1 terminating"),
    ),
    (
        "a line in a CRI wrapper",
        '2024-01-01T10:00:00.000000001Z stderr F {"level":"error","msg":"boom"}',
        ("json", "error", "2024-01-01T10:00:00+00:00", "boom"),
    ),
    (
        "a line in docker's wrapper",
        '{"log":"level=error msg=boom\\n","stream":"stderr","time":"2024-01-01T10:00:00.1Z"}',
        ("logfmt", "error", "2024-01-01T10:00:00.100000+00:00", "boom"),
    ),
    (
        "a PostgreSQL line",
        "2025-08-13 01:45:01.123 PDT [12345] ERROR:  deadlock detected",
        ("postgresql", "error", "2025-08-13T08:45:01.123000+00:00", "deadlock detected"),
    ),
    (
        "a PostgreSQL line with user and database",
        "2025-08-13 01:45:01.123 UTC [12345] app@shop FATAL:  too many connections",
        ("postgresql", "fatal", "2025-08-13T01:45:01.123000+00:00", "too many connections"),
    ),
    (
        "a MySQL line",
        "2020-08-06T14:25:02.936146Z 0 [Warning] [MY-010068] [Server] CA certificate is self signed.",
        ("mysql", "warn", "2020-08-06T14:25:02.936146+00:00", "CA certificate is self signed."),
    ),
    (
        "a Redis line",
        "1:M 25 Apr 2024 05:32:35.018 # Out of disk",
        ("redis", "warn", "2024-04-25T05:32:35.018000+00:00", "Out of disk"),
    ),
    (
        "a RabbitMQ line",
        "2024-01-01 10:00:00.123456+00:00 [error] <0.222.0> closing AMQP connection",
        ("stamped", "error", "2024-01-01T10:00:00.123456+00:00", "closing AMQP connection"),
    ),
    (
        "a Rails logger's line",
        "E, [2024-01-02T10:00:00.123456 #1234] ERROR -- : Boom",
        ("ruby", "error", "2024-01-02T10:00:00.123456+00:00", "Boom"),
    ),
    (
        "a PHP line",
        "[01-Jan-2024 10:00:00 UTC] PHP Fatal error:  Uncaught Exception: x in /a.php:3",
        ("php", "fatal", "2024-01-01T10:00:00+00:00", "Uncaught Exception: x in /a.php:3"),
    ),
    (
        "a Rust tracing line",
        "2022-02-15T18:40:10.821315Z ERROR fmt::yak_shave: no yaks",
        ("tracing", "error", "2022-02-15T18:40:10.821315+00:00", "no yaks"),
    ),
    ("a Python line", "ERROR:root:it broke", ("python", "error", None, "it broke")),
    ("a line with a level alone", "WARNING: low disk", ("level", "warn", None, "low disk")),
    ("plain text", "hello world", ("plain", "unknown", None, "hello world")),
    ("plain text that failed", "connection refused", ("plain", "error", None, "connection refused")),
]


@pytest.mark.parametrize(("line", "expected"), [case[1:] for case in ONE_LINE], ids=[case[0] for case in ONE_LINE])
def test_one_line_is_understood(line: str, expected: tuple[str, str, str | None, str]) -> None:
    event = read([line]).row(0, named=True)
    assert (event["format"], event["level"], utc(event["event_ts"]), event["message"]) == expected


def test_a_header_that_all_lines_share_is_learnt_field_by_field() -> None:
    lines = [
        f"2024-01-02 10:00:0{n}.123  {level} 12345 --- [nio-8080-exec-{n}] c.e.shop.{logger} : {text} {n}"
        for n, (level, logger, text) in enumerate(
            [("INFO", "Cart", "added"), ("ERROR", "Payment", "declined"), ("WARN", "Stock", "low")] * 3
        )
    ]
    events = read(lines)
    assert events["message"].to_list()[:3] == ["added 0", "declined 1", "low 2"]
    assert events["level"].to_list()[:3] == ["info", "error", "warn"]


def test_what_only_some_lines_have_stays_in_the_message() -> None:
    lines = [f"2024-01-02 10:00:0{n} INFO nova.api [req-{n:08d}-x] [instance: {n}] up" for n in range(5)]
    lines += [f"2024-01-02 10:00:0{n} INFO nova.api [req-{n:08d}-x] idle {n}" for n in range(5)]
    messages = read(lines)["message"].to_list()
    assert messages[0] == "[instance: 0] up"
    assert messages[5] == "idle 0"


def test_a_word_of_failure_before_a_colon_is_message_and_no_logger() -> None:
    events = read([f"2024-01-02 10:00:0{n} Error: timeout {n}" for n in range(9)])
    assert "timeout 3" in events["message"][3]
    assert set(events["level"]) == {"error"}


def test_a_stream_that_changes_its_format_is_looked_at_again() -> None:
    reader = EventReader()

    def lines(texts: list[str]) -> pl.DataFrame:
        return pl.DataFrame(
            [(NOW, "s", "{}", None, text) for text in texts],
            schema=LINES,
            orient="row",
        )

    first = reader.read(lines([f"2024-01-02 10:00:0{n} INFO a.b.C: served {n}" for n in range(9)]))
    assert set(first["format"]) == {"stamped"}
    then = reader.read(lines([f'{{"level":"error","msg":"failed {n}"}}' for n in range(9)]))
    assert set(then["format"]) == {"json"}
    assert set(then["level"]) == {"error"}
    assert reader.formats() == {"{}": ("stamped", "json")}
    again = reader.read(lines(["2024-01-02 10:00:00 INFO a.b.C: served 5"]))
    assert again["message"].to_list() == ["served 5"]


def test_a_new_pod_is_read_as_its_sisters_are() -> None:
    reader = EventReader()
    lines = [f"2024-01-02 10:00:0{n} INFO Cart - added {n}" for n in range(9)]
    sisters = pl.DataFrame(
        [(NOW, "s", stream_key({"app": "shop", "pod": "a"}), None, text) for text in lines], schema=LINES, orient="row"
    )
    reader.read(sisters)
    alone = sisters.head(1).with_columns(stream=pl.lit(stream_key({"app": "shop", "pod": "b"})))
    assert reader.read(alone)["message"].to_list() == ["added 0"]


def test_two_formats_in_one_stream_are_both_read() -> None:
    lines = ["2024-01-02 10:00:00 INFO a.b.C: served", "I0102 10:00:00.000000       1 main.go:1] ready"] * 6
    events = read(lines)
    assert events["message"].to_list()[:2] == ["served", "ready"]
    assert events["format"].to_list()[:2] == ["stamped", "klog"]


def test_colours_are_no_part_of_what_is_read_but_of_the_line() -> None:
    line = "\x1b[32m2024-01-02 10:00:00\x1b[0m \x1b[31mERROR\x1b[0m broken pipe"
    event = read([line]).row(0, named=True)
    assert (event["level"], event["message"], event["line"]) == ("error", "broken pipe", line)


@pytest.mark.parametrize(
    ("lines", "labels", "metadata", "level"),
    [
        (["hello"], {"level": "warn"}, None, "warn"),
        (["hello"], {"detected_level": "info"}, None, "info"),
        (["hello"], {}, '{"detected_level":"debug"}', "debug"),
        (["hello"], {}, '{"severity_text":"ERROR"}', "error"),
        (["2024-01-02 10:00:00 INFO hello"], {"level": "error"}, None, "info"),
        (["finished with 0 errors"], {}, '{"detected_level":"error"}', "unknown"),
        (["connection refused"], {}, '{"detected_level":"info"}', "error"),
        (["INFO error check done: 2 jobs failed before"], {}, '{"detected_level":"error"}', "info"),
        (["[warn] could not reach a mirror"], {}, None, "warn"),
        (["notice: 3 logins were denied"], {}, None, "info"),
        (["info about what failed: disk"], {}, None, "error"),
    ],
    ids=[
        "label",
        "detected label",
        "detected metadata",
        "severity metadata",
        "own field first",
        "negated",
        "words",
        "states it",
        "in brackets",
        "before a colon",
        "a word of the text",
    ],
)
def test_a_level_comes_from_the_line_then_labels_then_words(
    lines: list[str], labels: dict[str, str], metadata: str | None, level: str
) -> None:
    assert read(lines, {"job": "x", **labels}, metadata)["level"].to_list() == [level]


@pytest.mark.parametrize(
    "text",
    ["no errors found", "0 errors", "error=null", 'error=""', "completed, errors: 0", "error rate 0.0%",
     "failover done", "registered error handler", "failed=0 ok=3", "without exception", "exit code 0", "errors=[]"],
)  # fmt: skip
def test_a_negated_word_of_failure_is_no_error(text: str) -> None:
    assert read([text])["level"].to_list() == ["unknown"]


@pytest.mark.parametrize(
    ("text", "level"),
    [("3 errors", "error"), ("request failed", "error"), ("NullPointerException at x", "error"),
     ("panic: boom", "fatal"), ("Out of memory: Killed process 7", "fatal"), ("deprecated option", "warn"),
     ("exit status 2", "error"),
     ("0 errors, 2 failed", "error"), ("error=timeout", "error"), ("err: EOF", "error")],
)  # fmt: skip
def test_a_word_of_failure_tells_the_level_where_no_field_does(text: str, level: str) -> None:
    assert read([text])["level"].to_list() == [level]


TRACE = "2341c20faf80925cb41698593fd3ffc2"


@pytest.mark.parametrize(
    ("line", "metadata"),
    [
        ("hello", f'{{"trace_id":"{TRACE}"}}'),
        ("hello", f'{{"traceID":"{TRACE}","span_id":"1"}}'),
        ("hello", f'{{"traceparent":"00-{TRACE}-00f067aa0ba902b7-01"}}'),
        (f"10:00:00.123 INFO a.B#1 TraceID: {TRACE} SpanID: ab31 [x]", None),
        (f"GET /x trace_id={TRACE}", None),
        (f'{{"msg":"x","traceId":"{TRACE}"}}', None),
        (f'{{"msg":"x","logging.googleapis.com/trace":"projects/p/traces/{TRACE}"}}', None),
        (f'{{"msg":"x","traceparent":"00-{TRACE}-00f067aa0ba902b7-01"}}', None),
        (f"level=info msg=x traceID={TRACE}", None),
        (f"calling with 00-{TRACE}-00f067aa0ba902b7-01", None),
    ],
)
def test_the_trace_id_is_found(line: str, metadata: str | None) -> None:
    assert read([line], metadata=metadata)["trace_id"].to_list() == [TRACE]


@pytest.mark.parametrize(
    ("line", "service"),
    [
        ('{"service":"cart","msg":"x"}', "cart"),
        ('{"service.name":"cart","msg":"x"}', "cart"),
        ("level=info msg=x service=cart", "cart"),
        ("hello", "unknown"),
    ],
)
def test_a_line_names_its_service_where_the_source_does_not(line: str, service: str) -> None:
    assert read([line])["service"].to_list() == [service]
    assert read([line], service="given")["service"].to_list() == ["given"]


@pytest.mark.parametrize(
    ("line", "at"),
    [
        ("2024-01-01T10:00:00+05:30 x", "2024-01-01T04:30:00+00:00"),
        ("2024-01-01 10:00:00 -0800 x", "2024-01-01T18:00:00+00:00"),
        ("2024-01-01 10:00:00.5 CEST x", "2024-01-01T08:00:00.500000+00:00"),
        ("1700000000 x", "2023-11-14T22:13:20+00:00"),
        ("1700000000123 x", "2023-11-14T22:13:20.123000+00:00"),
        ("1700000000123456 x", "2023-11-14T22:13:20.123456+00:00"),
        ("1700000000123456789 x", "2023-11-14T22:13:20.123456+00:00"),
        ("1700000000.25 x", "2023-11-14T22:13:20.250000+00:00"),
        ("Aug 12 10:00:00 host a[1]: x", "2025-08-12T10:00:00+00:00"),
        ("Dec 24 10:00:00 host a[1]: x", "2024-12-24T10:00:00+00:00"),
        ("Feb 29 10:00:00 host a[1]: x", "2024-02-29T10:00:00+00:00"),
        ("@400000004332258a3b6e1a8c x", "2005-09-22T03:31:12.997071+00:00"),
        ("2012-025T10:22:40,672:DEBUG:x", "2012-01-25T10:22:40.672000+00:00"),
        ("2024-13-45 10:00:00 x", None),
        ("9999-01-01 10:00:00 x", None),
    ],
)
def test_a_stamp_is_read_with_its_zone_and_what_it_leaves_open(line: str, at: str | None) -> None:
    assert utc(read([line])["event_ts"][0]) == at


def test_the_last_of_several_stamps_is_the_event_s() -> None:
    lines = [
        f"- 1117838570 2005.06.03 R02-M1 2005-06-03-15.42.5{n}.675872 R02-M1 RAS KERNEL INFO corrected {n}"
        for n in range(9)
    ]
    events = read(lines)
    assert utc(events["event_ts"][3]) == "2005-06-03T15:42:53.675872+00:00"
    assert events["message"][3] == "corrected 3"
