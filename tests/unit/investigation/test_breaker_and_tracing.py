"""An endpoint that fails is left alone; spans say what was asked and never what was shown."""

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from incidentlens.investigation import tracing
from incidentlens.investigation.breaker import Breaker
from incidentlens.model.clock import MINUTE, SECOND, ManualClock


def test_after_three_failures_it_rests_and_then_one_try_decides():
    clock = ManualClock(0)
    breaker = Breaker(clock)
    for _ in range(3):
        assert breaker.allows()
        breaker.failed()
    assert not breaker.allows()
    clock.advance(30 * SECOND)
    assert breaker.allows()
    breaker.failed()
    clock.advance(59 * SECOND)
    assert not breaker.allows()
    clock.advance(SECOND)
    assert breaker.allows()
    breaker.worked()
    breaker.failed()
    assert breaker.allows()


def test_it_rests_as_long_as_the_endpoint_asks_for_but_not_for_ever():
    clock = ManualClock(0)
    breaker = Breaker(clock)
    breaker.failed(rest=2 * MINUTE)
    assert not breaker.allows()
    clock.advance(2 * MINUTE)
    assert breaker.allows()
    breaker.failed(rest=10**6 * MINUTE)
    clock.advance(15 * MINUTE)
    assert breaker.allows()


@pytest.fixture
def spans(monkeypatch):
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", lambda *args: provider.get_tracer(*args))
    return exporter.get_finished_spans


def test_a_call_is_a_span_inside_its_investigation_by_the_genai_conventions(spans):
    with tracing.investigation("shop", "i1", "v1"), tracing.call("groq", "llama") as span:
        tracing.answered(span, "llama-3", 100, 20, "stop")
    call, whole = spans()
    assert call.name == "chat llama"
    assert call.parent.span_id == whole.context.span_id
    assert call.attributes["gen_ai.operation.name"] == "chat"
    assert call.attributes["gen_ai.usage.input_tokens"] == 100
    assert call.attributes["gen_ai.usage.output_tokens"] == 20
    assert whole.attributes["gen_ai.operation.name"] == "invoke_agent"


def test_what_went_wrong_is_a_kind_and_not_a_text(spans):
    with pytest.raises(ValueError, match="secret"), tracing.call("groq", "llama"):
        raise ValueError("the prompt with its secret")
    (call,) = spans()
    assert call.attributes["error.type"] == "ValueError"
    assert call.events == ()
    assert "secret" not in str(call.to_json())


def test_without_an_endpoint_in_the_environment_nothing_is_exported(monkeypatch):
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", raising=False)
    assert tracing.start() is False
