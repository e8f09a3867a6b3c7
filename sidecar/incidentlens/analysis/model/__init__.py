"""A language model's place in analysis: what it is shown, what it may answer, and what of that stands.

Pure: no network and no store. `view` chooses and masks, `prompt` writes the messages, `answer` reads the reply,
`grounding` checks each claim against what it cites, `conclusion` joins what stands with the deterministic analysis. The
caller is `investigation/`.
"""

from .answer import ModelAnswer, Unreadable, answer_schema, parse_answer
from .conclusion import conclude
from .grounding import Struck, Verdict, check
from .prompt import PROMPT_VERSION, Prompt, repair_prompt, write_prompt
from .view import View, view_of

__all__ = [
    "PROMPT_VERSION",
    "ModelAnswer",
    "Prompt",
    "Struck",
    "Unreadable",
    "Verdict",
    "View",
    "answer_schema",
    "check",
    "conclude",
    "parse_answer",
    "repair_prompt",
    "view_of",
    "write_prompt",
]
