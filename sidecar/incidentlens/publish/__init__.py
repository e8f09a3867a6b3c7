"""What leaves the process: changes out of the store's outbox, at least once, each made idempotent by its key."""

from .publisher import Publisher

__all__ = ["Publisher"]
