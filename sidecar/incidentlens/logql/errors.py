"""What can be wrong with a LogQL query, in Loki's own words and with Loki's status."""

from __future__ import annotations


class LogQLError(Exception):
    """A query that cannot be parsed or run.

    Attributes:
        message: what is wrong, without the position.
        line: line in the query, from 1 (0 where it is not known).
        column: column in the query, from 1 (0 where it is not known).
        hint: one sentence that says what to do, where there is one.
        status: the HTTP status Loki answers with.
    """

    status = 400

    def __init__(self, message: str, line: int = 0, column: int = 0, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column
        self.hint = hint

    def __str__(self) -> str:
        """The text of Loki's answer."""
        if self.line == 0 and self.column == 0:
            return f"parse error : {self.message}"
        return f"parse error at line {self.line}, col {self.column}: {self.message}"


class QueryError(LogQLError):
    """A query that parses but cannot be run: `str()` is the message alone."""

    def __str__(self) -> str:
        return self.message


class PipelineError(QueryError):
    """A line that a stage of a metric query could not read."""


class LimitError(QueryError):
    """A query that asks for more than is allowed."""
