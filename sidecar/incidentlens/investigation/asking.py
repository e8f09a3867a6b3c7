"""One investigation's conversation: ask, read the answer, have it repaired once where it cannot be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from incidentlens.analysis.model import (
    ModelAnswer,
    Prompt,
    Unreadable,
    answer_schema,
    parse_answer,
    repair_prompt,
)

from .chain import Chain, ChainError, Reply


@dataclass(frozen=True, slots=True)
class Conversation:
    """What was said. `answer` is None where nothing of it could be read; `why` then says so."""

    answer: ModelAnswer | None
    replies: tuple[Reply, ...]
    why: str = ""

    @property
    def tokens(self) -> int:
        return sum(reply.input_tokens + reply.output_tokens for reply in self.replies)

    @property
    def cost(self) -> float:
        return sum(reply.cost for reply in self.replies)

    @property
    def seconds(self) -> float:
        return round(sum(reply.seconds for reply in self.replies), 3)


async def converse(chain: Chain, prompt: Prompt) -> Conversation:
    """Ask once, and once more where the answer does not fit the schema. Raises ChainError where nobody answers."""
    schema = answer_schema()
    messages: tuple[dict[str, Any], ...] = prompt.messages
    first = await chain.ask(messages, schema)
    try:
        return Conversation(parse_answer(first.text), (first,))
    except Unreadable as error:
        said = str(error)
    try:
        second = await chain.ask(repair_prompt(prompt, first.text, said), schema)
    except ChainError as error:
        return Conversation(None, (first,), f"the answer could not be read ({said}), and the repair failed: {error}")
    try:
        return Conversation(parse_answer(second.text), (first, second))
    except Unreadable as error:
        return Conversation(None, (first, second), f"the answer could not be read, not even repaired: {error}")
