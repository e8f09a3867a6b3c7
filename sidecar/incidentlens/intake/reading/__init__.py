"""Reading: physical lines in, events out, with their headers understood and stack traces joined."""

from .reader import EventReader

__all__ = ["EventReader"]
