"""`kpis`: how soon incidents were found, looked at and over, and how well it all works."""

from __future__ import annotations

from incidentlens.grafana.frames import Field, FieldType, Frame
from incidentlens.model.clock import SECOND
from incidentlens.store.pg.panels_figures import JUDGED, SEEN

from . import look
from .context import QueryContext
from .filters import filter_of
from .query import PanelQuery

_SHARE = {"unit": "percentunit", "min": 0, "max": 1, "decimals": 0}
_TIME = {"unit": "s", "decimals": 0, "min": 0}


async def answer(query: PanelQuery, context: QueryContext) -> list[Frame]:
    """One row over the incidents opened within the time range; a figure that nothing speaks for is null.

    MTTD: onset until found; MTTA: found until a person first did something; MTTR: found until over by resolution or by
    a person's closing. Suppression precision: of what was held back, the share that nobody was told of after all, that
    did not come back, and that no person called a true incident.
    """
    figures = await context.queries.panel_figures(
        context.project, await filter_of(query, context), since=query.since, until=query.until
    )
    opened = figures.opened
    floats: tuple[tuple[str, str, float | None, dict[str, object]], ...] = (
        ("mttd", "Time to detect (MTTD)", _seconds(figures.detect_mean), _TIME),
        ("mtta", "Time to acknowledge (MTTA)", _seconds(figures.acknowledge_mean), _TIME),
        ("mttr", "Time to resolve (MTTR)", _seconds(figures.resolve_mean), _TIME),
        ("runbook_hit_rate", "Runbook hit rate", _share(figures.matched, opened), _SHARE),
        ("suppression_rate", "Suppression rate", _share(figures.held, opened), _SHARE),
        (
            "suppression_precision",
            "Suppression precision",
            _share(figures.suppressed_rightly, figures.suppressed),
            _SHARE,
        ),
        ("resolution_rate", "Verified as resolved", _share(figures.resolved, figures.verified), _SHARE),
        ("model_cost", "Model cost", figures.model_cost, {"unit": "currencyUSD", "decimals": 2, "min": 0}),
        ("opened", "Incidents", float(opened), {"unit": "short", "decimals": 0}),
        ("open_now", "Open now", float(figures.open_now), {"unit": "short", "decimals": 0}),
        ("told", "Told somebody", float(figures.told), {"unit": "short", "decimals": 0}),
    )
    fields = [
        Field(name, FieldType.FLOAT, [value], {"displayName": title, **config}) for name, title, value, config in floats
    ]
    notes = [
        *look.cut_notes(query),
        f"suppression precision is of the latest {JUDGED:,} suppressions" if figures.suppressed >= JUDGED else None,
        f"time to acknowledge is of the latest {SEEN:,} doings of persons" if figures.acknowledged >= SEEN else None,
    ]
    return look.noticed([Frame("kpis", fields, look.NUMERIC_WIDE)], notes)


def _seconds(ns: float | None) -> float | None:
    """Whole seconds: a panel would turn less into milliseconds, for which it has no room."""
    return None if ns is None else float(round(ns / SECOND))


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
