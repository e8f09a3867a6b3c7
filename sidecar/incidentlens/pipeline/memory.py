"""What a project's stages remember between ticks. It can be thrown away at any moment: the store has it too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from incidentlens.config.loader import Project
from incidentlens.detection import DetectionSettings, Detector
from incidentlens.intake.reading import EventReader
from incidentlens.model.clock import MINUTE
from incidentlens.signatures import Catalogue
from incidentlens.store.base import Transaction

from .offloop import Run

# Cursor rows that are not a query's: `@` cannot begin a query's name.
_GENERATION = "@generation"
NEWEST = "@newest"  # time of the newest record taken in
LEARNT = "@learnt:"  # up to where a new query has been learnt from
# Queries further apart than this no longer share all that was seen, so that one that is refused for days costs nothing:
# of the one behind, its own overlap is remembered. A record that both select counts for both then.
APART = 15 * MINUTE


async def generation_of(tx: Transaction) -> int:
    """It moves with every tick: whoever remembers another one remembers what no longer holds."""
    return await tx.cursor(_GENERATION) or 0


async def outdate(tx: Transaction, generation: int | None = None) -> None:
    """What is remembered of this project holds no more, but for whoever remembers the new generation."""
    await tx.set_cursor(_GENERATION, generation if generation is not None else await generation_of(tx) + 1)


@dataclass(slots=True)
class Memory:
    """The stages of one project, and the overlap that was seen. Times in ns."""

    generation: int
    reader: EventReader
    catalogue: Catalogue
    detector: Detector
    seen: dict[str, int]  # record id: ts, of the overlap
    cursors: dict[str, int]
    newest: int | None
    first_seen: dict[str, int]  # service: ns

    def edge(self, overlap: int, until: int = 0) -> int:
        """The time from which on records may come again: the overlap before the cursor that is furthest behind.

        Not after the newest record: a clock that ran ahead has moved the cursors past records that come only now.
        """
        newest = max(self.cursors.values(), default=until)
        oldest = max(min(self.cursors.values(), default=until), newest - APART)
        return min(oldest, self.newest or oldest) - overlap

    def behind(self, overlap: int) -> list[tuple[int, int]]:
        """The overlaps [from, to] of queries too far behind for `edge`: they are read again too."""
        newest = max(self.cursors.values(), default=0)
        return [(at - overlap, at) for at in self.cursors.values() if at < newest - APART]

    def remember(self, pairs: Mapping[str, int], edge: int, keep: Sequence[tuple[int, int]]) -> None:
        """The records of `pairs` (id: ts) were seen; those before `edge` are forgotten, but for the spans of `keep`."""
        self.seen.update(pairs)
        self.seen = {found: ts for found, ts in self.seen.items() if ts >= edge or any(a <= ts <= b for a, b in keep)}


async def remember(tx: Transaction, project: Project, generation: int, run: Run, now: int) -> Memory:
    """Read everything from the store, and tell it at `now` (ns) which patterns the runbooks have."""
    await tx.know_patterns(((book.id, pattern) for book in project.runbooks for pattern in book.patterns), now)
    config = project.config
    templates, state = await tx.templates(), await tx.detector_state()
    cursors = {query.name: await tx.cursor(query.name) for query in project.queries}
    memory = Memory(
        generation=generation,
        reader=EventReader(),
        catalogue=await run(Catalogue, templates, project.rules, max_templates=config.max_signatures),
        detector=await run(Detector, DetectionSettings(window=config.window), state),
        seen={},
        cursors={name: at for name, at in cursors.items() if at is not None},
        newest=await tx.cursor(NEWEST),
        first_seen=await tx.service_first_seen({}),
    )
    if memory.cursors:
        newest = (memory.edge(config.overlap), max(memory.cursors.values()))
        for first, last in (*sorted(memory.behind(config.overlap)), newest):
            memory.seen.update(dict.fromkeys(await tx.seen(first), last))
    return memory
