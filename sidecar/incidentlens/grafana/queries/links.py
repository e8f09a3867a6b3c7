"""Links into Loki's Explore for one query and one time."""

from __future__ import annotations

import re
from urllib.parse import quote as percent

import orjson

from incidentlens.logql import QueryError as LogQLError
from incidentlens.logql import add_line_filter, selector

MAX_FILTER = 500  # characters of a line that are looked for
_DERIVED = ("detected_level", "service_name")  # Loki adds them; they are no labels of an older Loki's streams
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,200}")


def explore(loki_uid: str, query: str, since: int, until: int) -> str:
    """A relative URL of Explore with a Loki query and a time in ns, in the form that Grafana 9.4 to 13 all take."""
    left = {
        "datasource": loki_uid,
        "queries": [
            {"refId": "A", "expr": query, "queryType": "range", "datasource": {"type": "loki", "uid": loki_uid}}
        ],
        "range": {"from": str(max(0, since) // 1_000_000), "to": str(-(-until // 1_000_000))},
    }
    return "/explore?left=" + percent(orjson.dumps(left).decode(), safe="")


def stream_query(stream: str) -> str:
    """The selector of a stream kept as canonical JSON; "" where it names none."""
    try:
        found = orjson.loads(stream)
    except orjson.JSONDecodeError:
        return ""
    if not isinstance(found, dict):
        return ""
    labels = {str(name): str(value) for name, value in found.items() if value and _LABEL.fullmatch(str(name))}
    own = {name: value for name, value in labels.items() if name not in _DERIVED}
    try:
        return selector(own or labels)
    except LogQLError:
        return ""


def line_query(stream: str, line: str) -> str:
    """The query for one line of a stream: what it says is data and stays one string. "" where no stream is named.

    Of an event of several lines the first is looked for, of a long one its beginning.
    """
    found = stream_query(stream)
    text = line.partition("\n")[0][:MAX_FILTER]
    # What the store replaced (see `store.text`) is not what stands in Loki: look for what is before it.
    text = re.split("[\u2400\ufffd]", text, maxsplit=1)[0]
    if not found or not text.strip():
        return found
    return add_line_filter(found, "|=", text)
