"""What must last. `postgres` is the real store; `memory` is the same contract for replay and for fast tests."""
