"""The whole of it on one machine, without Docker: a database, a Loki, a failing shop, and the sidecar watching it."""
