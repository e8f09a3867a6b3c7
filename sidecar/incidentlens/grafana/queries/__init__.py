"""What panels, alert rules and programs may ask: one file a query type, one registry, frames as the answer.

query = read_query(body, since=…, until=…)
frames = await answer(query, QueryContext(project, queries, now))
"""

from .context import QueryContext
from .errors import QueryError
from .query import PanelQuery, read_query
from .registry import QUERY_TYPES, answer

__all__ = ["QUERY_TYPES", "PanelQuery", "QueryContext", "QueryError", "answer", "read_query"]
