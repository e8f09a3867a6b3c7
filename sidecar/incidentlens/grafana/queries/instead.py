"""What a panel shows in place of nothing: the text that its query brings (`empty`), in the shape of the panel.

For panels that have no words of their own: whatever they are told to say, Grafana 9.4 says "No data" or "No graphable
fields" there, which tells nobody what to do.
"""

from __future__ import annotations

from incidentlens.grafana.frames import Field, FieldType
from incidentlens.model.clock import SECOND

MILLISECOND = SECOND // 1_000
KIND = "note"


def sentences(text: str) -> list[str]:
    """The text a sentence each: no panel wraps a long one."""
    found: list[str] = []
    begun: list[str] = []
    for word in text.split():
        begun.append(word)
        if word[-1] in ".!?":
            found.append(" ".join(begun))
            begun = []
    return [*found, " ".join(begun)] if begun else found


def lines(text: str, at: int) -> list[Field]:
    """Log lines, for the logs panel: each a millisecond before the one above it, the first at `at` (ns)."""
    said = sentences(text)
    if not said:
        return []
    return [
        Field("timestamp", FieldType.TIME, [at - place * MILLISECOND for place in range(len(said))]),
        Field("body", FieldType.STRING, said, nullable=False),
        Field("severity", FieldType.STRING, ["unknown"] * len(said)),
        Field("id", FieldType.STRING, [f"{KIND}{place}" for place in range(len(said))]),
        Field("labels", FieldType.JSON, [{"kind": KIND}] * len(said)),
        Field("level", FieldType.STRING, ["unknown"] * len(said)),  # 9.4 goes by this name
    ]
