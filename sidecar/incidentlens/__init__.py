"""IncidentLens stands beside Loki and turns failing log lines into incidents with a cause, proof and a verified end."""

__version__ = "0.1.0"
