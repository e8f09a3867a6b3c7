"""What leaves the process: changes out of the store, at least once, each made idempotent by its key or its tags."""

from .annotations import Annotator
from .publisher import Publisher
from .receipts import Receipts

__all__ = ["Annotator", "Publisher", "Receipts"]
