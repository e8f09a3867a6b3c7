"""What a write would do to what the ruler has: known before it is done."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from .model import Group, group_yaml


class State(StrEnum):
    """Where one group stands."""

    SAME = "same"
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    EDITED = "edited"  # a hand changed what was written: kept, unless told
    FOREIGN = "foreign"  # in our namespace, and never written by us: kept, unless told


@dataclass(frozen=True, slots=True)
class Change:
    """One group: what is there (None: nothing), what is wanted (None: nothing), and where that leaves it."""

    name: str
    state: State
    present: Group | None
    wanted: Group | None

    @property
    def kept_back(self) -> bool:
        """True where only `--force` would write."""
        return self.state in (State.EDITED, State.FOREIGN)

    def writes(self, force: bool) -> bool:
        return self.state is not State.SAME and (force or not self.kept_back)

    def diff(self) -> str:
        """From what is there to what is wanted, as a unified diff of the YAML; empty where they are the same."""
        if self.state is State.SAME:
            return ""
        before = group_yaml(self.present).splitlines() if self.present else []
        after = group_yaml(self.wanted).splitlines() if self.wanted else []
        return "\n".join(difflib.unified_diff(before, after, "in the ruler", "wanted", lineterm=""))


def plan(wanted: Sequence[Group], present: Iterable[Group]) -> list[Change]:
    """A change a group, those wanted first and in their order; `present` is our namespace and nothing else."""
    left = {group.name: group for group in present}
    changes = [
        Change(group.name, _state(left.get(group.name), group), left.pop(group.name, None), group) for group in wanted
    ]
    changes += [Change(name, _state(group, None), group, None) for name, group in sorted(left.items())]
    return changes


def plan_removal(present: Iterable[Group]) -> list[Change]:
    """Taking everything away again: what a hand edited or added is kept, unless told."""
    return plan((), present)


def _state(present: Group | None, wanted: Group | None) -> State:
    if present is None:
        return State.CREATE
    if wanted is not None and present == wanted:
        return State.SAME
    if wanted is not None and present.without_seal() == wanted.without_seal():
        return State.UPDATE  # only the seal is gone or wrong: nothing of anybody's is lost
    if not present.untouched:
        return State.EDITED if present.seal else State.FOREIGN
    return State.DELETE if wanted is None else State.UPDATE
