"""The web pages: rendered here, readable without JavaScript, up to date with it."""

from . import forms, incidents, login, planned, policy, quarantine, runbooks, signatures

ROUTERS = (
    incidents.router,
    forms.router,
    signatures.router,
    runbooks.router,
    planned.router,
    policy.router,
    quarantine.router,
    login.router,
)
