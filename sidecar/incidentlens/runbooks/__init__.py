"""Runbooks as teams write them: loading, checking and matching."""
