"""What a tick asks Loki: the records of a span, the metric queries, and what the verifier watches."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence

import polars as pl

from incidentlens import logql
from incidentlens.config.loader import Project, Query
from incidentlens.intake.alerts import fingerprint
from incidentlens.intake.errors import LokiError
from incidentlens.intake.loki import LokiClient
from incidentlens.intake.paging import Window
from incidentlens.intake.windows import Span
from incidentlens.model.clock import SECOND
from incidentlens.model.decisions import Alert, Deploy, Verification

from . import metrics
from .deploys import Announced

log = logging.getLogger(__name__)

_MILLISECOND = SECOND // 1000
_LOOKS = 50  # of the verifier, a tick: each is a query to Loki


class Questions:
    """One project's Loki, asked by the project's configuration."""

    def __init__(self, project: Project, client: LokiClient | None = None) -> None:
        self.project = project
        self._client = client or LokiClient(project.loki)
        self._announced = Announced()

    async def close(self) -> None:
        await self._client.close()

    async def configure(self, project: Project) -> None:
        """A changed configuration; another Loki is asked from now on where it names one."""
        if project.loki != self.project.loki:
            await self._client.close()
            self._client = LokiClient(project.loki)
        self.project = project

    async def fetch(self, query: Query, span: Span, after: int, bound: int) -> tuple[list[pl.DataFrame], int, int]:
        """The span's frames, where the query then stands, and how many records could not be read.

        It stands earlier than the span's end where `bound` records were met. Raises LokiError.

        What lies before `after` is the overlap and does not count for the bound.
        """
        window = Window(self._client, query.logql, self.project.config.service_label, self.project.page_limit)
        frames, rows, cursor, asked = [], 0, span.cursor, self._client.bytes_read
        async for frame in window.read(span.start, span.end):
            frames.append(frame)
            newest = int(frame["ts"][-1])
            rows += int((frame["ts"] >= after).sum())
            if rows >= bound and newest > after:
                # Records of that very time may follow: it is read again, and what was seen is dropped.
                cursor = newest
                break
        metrics.observe_fetch(self.project.name, query.name, window.fetched)
        metrics.LOKI_BYTES.labels(self.project.name, query.name).inc(self._client.bytes_read - asked)
        return frames, cursor, window.fetched.cut

    @property
    def client(self) -> LokiClient:
        """The Loki that is asked now."""
        return self._client

    async def deploys(self, now: int, problems: list[LokiError]) -> list[Deploy]:
        """What was announced in the logs since the last call."""
        return await self._announced.read(self.project, self._client, now, problems)

    async def metric_alerts(self, now: int, problems: list[LokiError], mine: Collection[str]) -> list[Alert]:
        """Each series of a metric query (of those in `mine`) above its bound, as an alert that lasts two intervals."""
        alerts = []
        for query in self.project.queries:
            if not query.metric or query.above is None or query.name not in mine:
                continue
            at = now - self.project.config.delay
            try:
                vector = await self._client.query_vector(query.logql, at)
            except LokiError as error:
                problems.append(error)
                continue
            for series in vector:
                value = float(series["value"][1])
                if not value > query.above:
                    continue
                labels = {"alertname": query.name, **{str(k): str(v) for k, v in series["metric"].items()}}
                alerts.append(
                    Alert(
                        fingerprint=fingerprint(labels),
                        project=self.project.name,
                        name=query.name,
                        starts_at=at,
                        ends_at=now + 2 * self.project.config.interval,
                        labels=labels,
                        annotations={"summary": f"{query.name} is above {query.above:g}", "value": f"{value:g}"},
                        query=query.logql,
                    )
                )
        return alerts

    async def watched_counts(
        self, watches: Sequence[Verification], now: int, *, away: bool
    ) -> Mapping[str, int | None]:
        """What each watched incident's own LogQL counts since its last look; None where Loki cannot say.

        `away`: Loki is known not to answer. Not asked while the past is being caught up: the verifier looks again
        when it is up to date. Of very many watches a tick asks about those that have waited longest.
        """
        counts: dict[str, int | None] = {}
        waited = sorted(watches, key=lambda watch: (_looked_at(watch), watch.id))
        for watch in waited[:_LOOKS]:
            since = _looked_at(watch)
            until = now - self.project.config.delay
            # Without a query the tick's own records are counted (`watching.look`); Loki counts by the millisecond.
            if not watch.query or until - since < _MILLISECOND:
                continue
            if away:
                counts[watch.id] = None
                continue
            try:
                counts[watch.id] = await self._count(watch.query, since, until)
            except (LokiError, logql.LogQLError) as error:
                log.warning("%s: the verifier could not ask Loki: %s", self.project.name, error)
                counts[watch.id] = None
                away = isinstance(error, LokiError) and error.retry  # the others would wait for it in vain too
        return counts

    async def _count(self, query: str, since: int, until: int) -> int:
        text = logql.count_over(query, until - since)
        return int(sum(float(series["value"][1]) for series in await self._client.query_vector(text, until)))


def _looked_at(watch: Verification) -> int:
    return watch.checks[-1].at if watch.checks else watch.started_at
