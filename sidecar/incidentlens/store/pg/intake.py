"""Intake, signatures and detection: cursors, seen records, templates, counts, the detector's state, services."""

# ruff: noqa: S608 (only this folder's own column lists are put into statements; every value is a parameter)

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from psycopg.rows import DictRow

from incidentlens.model.clock import HOUR
from incidentlens.model.signatures import SignatureCount, Template
from incidentlens.store.base import Quarantined
from incidentlens.store.text import clean, words

from .session import Session, batches

QUARANTINE = "id, ts, service, stream, metadata, line, error, at"
TEMPLATE_COLUMNS = "signature, template, family, level, first_seen, last_seen, count, alias_of, label"


def to_template(row: DictRow) -> Template:
    return Template(**row)


class IntakePart:
    """The methods of `base.Transaction` over these tables."""

    project: str
    session: Session

    async def cursor(self, query: str) -> int | None:
        row = await self.session.row("SELECT at FROM cursors WHERE project = %s AND query = %s", (self.project, query))
        return None if row is None else int(row["at"])

    async def set_cursor(self, query: str, at: int) -> None:
        await self.session.run(
            "INSERT INTO cursors (project, query, at) VALUES (%s, %s, %s) "
            "ON CONFLICT (project, query) DO UPDATE SET at = excluded.at",
            (self.project, query, at),
        )

    async def seen(self, since: int) -> set[str]:
        rows = await self.session.rows(
            "SELECT id FROM seen_records WHERE project = %s AND ts >= %s", (self.project, since)
        )
        return {row["id"] for row in rows}

    async def add_seen(
        self, records: Iterable[tuple[str, int]], forget_before: int, keep: Sequence[tuple[int, int]] = ()
    ) -> None:
        spans = [*keep, (forget_before, 2**63 - 1)]
        for batch in batches(record for record in records if any(a <= record[1] <= b for a, b in spans)):
            await self.session.run(
                "INSERT INTO seen_records (project, id, ts) "
                "SELECT %s, id, ts FROM unnest(%s::text[], %s::bigint[]) AS new (id, ts) ON CONFLICT DO NOTHING",
                (self.project, [record for record, _ in batch], [ts for _, ts in batch]),
            )
        await self.session.run(
            "DELETE FROM seen_records WHERE project = %s AND ts < %s AND NOT EXISTS "
            "(SELECT FROM unnest(%s::bigint[], %s::bigint[]) AS span (a, b) WHERE ts BETWEEN a AND b)",
            (self.project, forget_before, [first for first, _ in keep], [last for _, last in keep]),
        )

    async def add_quarantined(self, records: Iterable[Quarantined]) -> None:
        columns = QUARANTINE.split(", ")
        for batch in batches(records, 1_000):
            await self.session.run(
                f"INSERT INTO quarantine (project, {QUARANTINE}) SELECT %s, * FROM unnest(%s::text[], %s::bigint[], "
                "%s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::bigint[]) ON CONFLICT DO NOTHING",
                (self.project, *([getattr(record, name) for record in batch] for name in columns)),
            )

    async def templates(self) -> list[Template]:
        rows = await self.session.rows(
            f'SELECT {TEMPLATE_COLUMNS} FROM templates WHERE project = %s ORDER BY signature COLLATE "C"',
            (self.project,),
        )
        return [to_template(row) for row in rows]

    async def save_templates(self, templates: Iterable[Template]) -> None:
        latest = {clean(template.signature): template for template in templates}
        for batch in batches(latest.values(), 5_000):
            await self.session.run(
                f"INSERT INTO templates (project, {TEMPLATE_COLUMNS}, search) "
                f"SELECT %s, {TEMPLATE_COLUMNS}, array_to_tsvector(string_to_array(words, ' ')) "
                "FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::bigint[], %s::bigint[], %s::bigint[], "
                f"%s::text[], %s::text[], %s::text[]) AS new ({TEMPLATE_COLUMNS}, words) "
                "ON CONFLICT (project, signature) DO UPDATE SET "
                "template = excluded.template, family = excluded.family, level = excluded.level, "
                "first_seen = excluded.first_seen, last_seen = excluded.last_seen, count = excluded.count, "
                "alias_of = excluded.alias_of, label = excluded.label, search = excluded.search",
                (
                    self.project,
                    [template.signature for template in batch],
                    [template.template for template in batch],
                    [template.family for template in batch],
                    [template.level.value for template in batch],
                    [template.first_seen for template in batch],
                    [template.last_seen for template in batch],
                    [template.count for template in batch],
                    [template.alias_of for template in batch],
                    [template.label for template in batch],
                    [" ".join(template_words(template)) for template in batch],
                ),
            )

    async def add_counts(self, counts: Iterable[SignatureCount]) -> None:
        minutes: dict[tuple[int, str, str, str], int] = {}
        hours: dict[tuple[int, str, str, str], int] = {}
        for count in counts:
            key = (clean(count.signature), clean(count.service), count.level.value)
            hour = count.bucket - count.bucket % HOUR
            minutes[(count.bucket, *key)] = minutes.get((count.bucket, *key), 0) + count.count
            hours[(hour, *key)] = hours.get((hour, *key), 0) + count.count
        await self._add("counts", minutes)
        await self._add("counts_hourly", hours)

    async def _add(self, table: str, counts: Mapping[tuple[int, str, str, str], int]) -> None:
        for batch in batches(sorted(counts.items())):
            await self.session.run(
                f"INSERT INTO {table} (project, bucket, signature, service, level, count) "
                "SELECT %s, * FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::text[], %s::bigint[]) "
                "ON CONFLICT (project, bucket, signature, service, level) "
                f"DO UPDATE SET count = {table}.count + excluded.count",
                (
                    self.project,
                    [key[0] for key, _ in batch],
                    [key[1] for key, _ in batch],
                    [key[2] for key, _ in batch],
                    [key[3] for key, _ in batch],
                    [count for _, count in batch],
                ),
            )

    async def detector_state(self) -> dict[str, bytes]:
        rows = await self.session.rows("SELECT key, value FROM detector_state WHERE project = %s", (self.project,))
        return {row["key"]: bytes(row["value"]) for row in rows}

    async def save_detector_state(self, changed: Mapping[str, bytes]) -> None:
        for batch in batches(changed.items(), 5_000):
            latest = {clean(key): bytes(value) for key, value in batch}
            await self.session.run(
                "INSERT INTO detector_state (project, key, value) "
                "SELECT %s, * FROM unnest(%s::text[], %s::bytea[]) "
                "ON CONFLICT (project, key) DO UPDATE SET value = excluded.value",
                (self.project, list(latest), list(latest.values())),
            )

    async def know_patterns(self, patterns: Iterable[tuple[str, str]], at: int) -> None:
        wanted = sorted({clean(pair) for pair in patterns})
        params = (self.project, [runbook for runbook, _ in wanted], [pattern for _, pattern in wanted])
        await self.session.run(
            "DELETE FROM pattern_uses WHERE project = %s AND NOT EXISTS "
            "(SELECT FROM unnest(%s::text[], %s::text[]) AS known (r, p) WHERE r = runbook AND p = pattern)",
            params,
        )
        await self.session.run(
            "INSERT INTO pattern_uses (project, runbook, pattern, since) "
            "SELECT %s, *, %s FROM unnest(%s::text[], %s::text[]) ON CONFLICT DO NOTHING",
            (self.project, at, *params[1:]),
        )

    async def patterns_matched(self, patterns: Iterable[tuple[str, str]], at: int) -> None:
        matched = sorted({clean(pair) for pair in patterns})
        if matched:
            await self.session.run(
                "UPDATE pattern_uses SET last_matched_at = %s FROM unnest(%s::text[], %s::text[]) AS matched (r, p) "
                "WHERE project = %s AND runbook = r AND pattern = p AND coalesce(last_matched_at, 0) < %s",
                (at, [runbook for runbook, _ in matched], [pattern for _, pattern in matched], self.project, at),
            )

    async def service_first_seen(self, services: Mapping[str, int]) -> dict[str, int]:
        earliest: dict[str, int] = {}
        for service, at in services.items():
            earliest[clean(service)] = min(at, earliest.get(clean(service), at))
        for batch in batches(earliest.items()):
            await self.session.run(
                "INSERT INTO services (project, service, first_seen) "
                "SELECT %s, * FROM unnest(%s::text[], %s::bigint[]) "
                "ON CONFLICT (project, service) DO UPDATE SET first_seen = excluded.first_seen "
                "WHERE services.first_seen > excluded.first_seen",
                (self.project, [service for service, _ in batch], [at for _, at in batch]),
            )
        rows = await self.session.rows("SELECT service, first_seen FROM services WHERE project = %s", (self.project,))
        return {row["service"]: int(row["first_seen"]) for row in rows}


def template_words(template: Template) -> list[str]:
    """The words a template is found by."""
    return words([template.signature, template.label, template.family, template.template])
