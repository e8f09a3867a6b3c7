"""Failures to play into a Loki: a shop of a dozen services with its everyday noise, and cascades with known truth."""
