"""The routes for programs, one module a concern. `ROUTERS` is all of them, in the order of the documentation."""

from . import (
    alerts,
    changes,
    context,
    health,
    incidents,
    persons,
    policy,
    quarantine,
    query,
    replay,
    runbooks,
    signatures,
    stats,
)

ROUTERS = (
    incidents.router,
    persons.router,
    signatures.router,
    runbooks.router,
    policy.router,
    stats.router,
    query.router,
    context.router,
    alerts.router,
    replay.router,
    changes.router,
    quarantine.router,
    health.router,
)
