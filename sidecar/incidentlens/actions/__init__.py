"""All that IncidentLens ever does: enrich, suppress, notify. Log text is masked and escaped before it goes anywhere."""

from .actor import Actor, fit, render_report
from .redaction import Masked, Redacted, redact

__all__ = ["Actor", "Masked", "Redacted", "fit", "redact", "render_report"]
