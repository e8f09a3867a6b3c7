"""Evidence: everything analysis may look at and cite, each item with an id, bounded, with what was cut counted."""

from .bundle import EvidenceContext, gather

__all__ = ["EvidenceContext", "gather"]
