"""Go's text templates as `line_format` and `label_format` use them: read once, run for every line, bounded."""

from __future__ import annotations

from .evaluate import Template, TemplateError, compile_template

__all__ = ["Template", "TemplateError", "compile_template"]
