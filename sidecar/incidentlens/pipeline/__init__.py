"""The stages in order: one tick in one transaction, the schedule that drives it, and replay over files."""
