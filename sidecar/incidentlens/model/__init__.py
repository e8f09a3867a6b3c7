"""The values that pass between the stages: typed, immutable, serialisable. Nothing here does input or output.

Times are integer nanoseconds since the Unix epoch everywhere, as in Loki.
"""
