"""The web pages: rendered here, readable without JavaScript, up to date with it."""

from . import forms, incidents, login, policy, runbooks, signatures

ROUTERS = (incidents.router, forms.router, signatures.router, runbooks.router, policy.router, login.router)
