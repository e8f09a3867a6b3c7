from __future__ import annotations

import pytest

from incidentlens.store.memory import MemoryStore


@pytest.fixture
def memory_store() -> MemoryStore:
    """For what does not hang on the store."""
    return MemoryStore()
