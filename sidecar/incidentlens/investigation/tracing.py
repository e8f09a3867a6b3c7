"""OpenTelemetry spans of investigations, by the GenAI semantic conventions. Without a provider they cost nothing.

Exported where OTEL_EXPORTER_OTLP_ENDPOINT (or …_TRACES_ENDPOINT) is set, as every OpenTelemetry program does it: to a
collector, to Langfuse (its OTLP address, and its key in OTEL_EXPORTER_OTLP_HEADERS), to any other backend. Prompts and
answers are not in the spans: they are in the store, masked.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from incidentlens import __version__

_NAME = "incidentlens.investigation"


def start() -> bool:
    """Export spans where the environment says to; True where it does. Call once a process."""
    if not (os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")):
        return False
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(
        resource=Resource.create({"service.name": "incidentlens", "service.version": __version__})
    )
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    return True


@contextmanager
def investigation(project: str, incident_id: str, prompt_version: str) -> Iterator[Span]:
    """The span of a whole investigation."""
    attributes = {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "incidentlens",
        "gen_ai.conversation.id": incident_id,
        "incidentlens.project": project,
        "incidentlens.prompt_version": prompt_version,
    }
    with trace.get_tracer(_NAME, __version__).start_as_current_span(
        "invoke_agent incidentlens", kind=SpanKind.INTERNAL, attributes=attributes
    ) as span:
        yield span


@contextmanager
def call(endpoint: str, model: str) -> Iterator[Span]:
    """The span of one call to an endpoint; an exception is its status and not its text."""
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": endpoint,
        "gen_ai.request.model": model,
        "gen_ai.output.type": "json",
    }
    with trace.get_tracer(_NAME, __version__).start_as_current_span(
        f"chat {model}",
        kind=SpanKind.CLIENT,
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield span
        except Exception as error:
            span.set_attribute("error.type", type(error).__name__)
            span.set_status(Status(StatusCode.ERROR))
            raise


def answered(span: Span, model: str, input_tokens: int, output_tokens: int, finish: str) -> None:
    """What the answer was, on its span."""
    span.set_attribute("gen_ai.response.model", model)
    span.set_attribute("gen_ai.usage.input_tokens", input_tokens)
    span.set_attribute("gen_ai.usage.output_tokens", output_tokens)
    span.set_attribute("gen_ai.response.finish_reasons", [finish])
