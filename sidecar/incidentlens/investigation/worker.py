"""Takes up wishes: what may be asked now, the asking, and the way of what stands back through policy."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from incidentlens.actions.redaction import mask
from incidentlens.analysis.model import (
    PROMPT_VERSION,
    ModelAnswer,
    Prompt,
    Verdict,
    View,
    check,
    conclude,
    view_of,
    write_prompt,
)
from incidentlens.analysis.model.view import tokens_of
from incidentlens.config.loader import Loaded, Project
from incidentlens.model.analysis import Analysis, Bundle
from incidentlens.model.clock import DAY, HOUR, MINUTE, Clock
from incidentlens.model.incidents import Incident
from incidentlens.model.investigations import Investigation, InvestigationState
from incidentlens.model.times import duration, utc
from incidentlens.store.base import Store, StoreError, Transaction

from . import tracing
from .asking import Conversation, converse
from .chain import Chain, ChainError

log = logging.getLogger(__name__)

_LEASE = 10 * MINUTE  # longer than the slowest chain
_MAX_ATTEMPTS = 3  # of one wish: a process that dies in the middle of it each time must not ask for ever
_STALE = 6 * HOUR  # nobody is helped by an answer to an old question


class Concluder(Protocol):
    """See `pipeline.live.ProjectRunner.conclude`."""

    async def conclude(self, incident_id: str, concluded: Callable[[Analysis], Analysis], text: str) -> bool: ...


Heard = Callable[[str, str, Conversation | None], None]
"""Told of each end: project, state, and what was said."""


@dataclass(frozen=True, slots=True)
class _Why:
    """What keeps a wish back. `final`: not even an answer that is there already would help."""

    text: str
    final: bool = False


class Investigator:
    """All projects' wishes. One `run_once` at a time; calls of one project run side by side up to its `concurrency`."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        concluders: Callable[[str], Concluder | None],
        chain_of: Callable[[Project], Chain] | None = None,
        heard: Heard | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._concluders = concluders
        self._make_chain = chain_of or self._chain_of
        self._chains: dict[str, Chain] = {}
        self._heard = heard or (lambda project, state, said: None)

    async def close(self) -> None:
        for chain in self._chains.values():
            await chain.close()
        self._chains.clear()

    async def run_once(self, loaded: Loaded) -> int:
        """Take up what is due; how many wishes came to an end. Raises StoreError."""
        asking = [self._project(project) for project in loaded.projects.values() if project.model is not None]
        return sum(await asyncio.gather(*asking))

    async def _project(self, project: Project) -> int:
        if project.model is None:
            return 0
        chain = await self._chain(project)
        async with self._store.transaction(project.name) as tx:
            due = await tx.due_investigations(self._clock.now(), project.model.config.concurrency)
        done = await asyncio.gather(*(self._one(project, chain, wanted) for wanted in due), return_exceptions=True)
        for outcome in done:
            if isinstance(outcome, StoreError):
                raise outcome
            if isinstance(outcome, Exception):
                log.error("%s: an investigation failed: a defect", project.name, exc_info=outcome)
            elif isinstance(outcome, BaseException):
                raise outcome
        return len(due)

    async def _one(self, project: Project, chain: Chain, wanted: Investigation) -> None:
        claimed = await self._claim(project, chain, wanted)
        if claimed is None:
            return
        investigation, bundle, view, prompt = claimed
        try:
            with tracing.investigation(project.name, wanted.incident_id, PROMPT_VERSION):
                said = await converse(chain, prompt)
        except ChainError as error:
            spent = {"calls": wanted.calls, "tokens": wanted.tokens, "cost": wanted.cost}
            await self._end(project, investigation, InvestigationState.FAILED, str(error), **spent)
            self._heard(project.name, "failed", None)
            return
        state = InvestigationState.DONE if said.answer is not None else InvestigationState.FAILED
        run = _run(view, prompt, said)
        verdict = None
        if said.answer is not None:
            verdict = check(said.answer, view, bundle)
            run["verdict"] = {
                "stands": verdict.cause is not None,
                "undetermined": verdict.undetermined,
                "struck": [struck.model_dump() for struck in verdict.struck],
                "claims": [claim.model_dump() for claim in verdict.claims],
            }
        ended = await self._end(
            project,
            investigation,
            state,
            said.why,
            calls=wanted.calls + len(said.replies),
            tokens=wanted.tokens + said.tokens,
            cost=wanted.cost + said.cost,
            model=said.replies[-1].model,
            run=run,
        )
        self._heard(project.name, state.value, said)
        if said.answer is not None and verdict is not None and ended:
            await self._conclude(project, investigation, said.answer, verdict, view, said)

    # -- what may be asked -----------------------------------------------------------------------------------------

    async def _claim(
        self, project: Project, chain: Chain, wanted: Investigation
    ) -> tuple[Investigation, Bundle, View, Prompt] | None:
        """Lease the wish where it may be asked now, with its estimated cost; else say why it is held."""
        model = project.model
        if model is None:
            return None
        now = self._clock.now()
        async with self._store.transaction(project.name) as tx:
            current = next((one for one in await tx.investigations(wanted.incident_id) if one.id == wanted.id), None)
            if current is None or current.state not in (InvestigationState.WANTED, InvestigationState.RUNNING):
                return None
            if current.leased_until is not None and current.leased_until > now:
                return None
            incident = await tx.incident(current.incident_id)
            analysis = await tx.latest_analysis(current.incident_id)
            if incident is None or analysis is None:
                await tx.save_investigation(_held(current, now, "its incident is gone"))
                return None
            bundle = Bundle(incident=incident, items=tuple(await tx.evidence(incident.id)))
            rules = analysis.without_model()
            view = view_of(
                bundle,
                rules.findings,
                rules.runbooks,
                mask,
                max_tokens=model.config.prompt_tokens,
                mask_addresses=model.config.mask_addresses,
            )
            current = current.model_copy(update={"digest": view.digest, "prompt_version": PROMPT_VERSION})
            why = await self._why_not(tx, project, chain, current, incident, analysis, now)
            earlier = None if why.final else await self._earlier(tx, project, current, now)
            if earlier is not None:
                current = _reusing(current, earlier, now)
                await tx.save_investigation(current)
            elif why.text:
                await tx.save_investigation(_held(current, now, why.text))
                self._heard(project.name, "held", None)
                return None
            else:
                prompt = write_prompt(view)
                shown = sum(tokens_of(message["content"]) for message in prompt.messages)
                may_answer = model.config.answer_tokens
                running = current.model_copy(
                    update={
                        "state": InvestigationState.RUNNING,
                        "updated_at": now,
                        "leased_until": now + _LEASE,
                        "attempts": current.attempts + 1,
                        # What it may come to counts from now on, whatever becomes of this process.
                        "calls": current.calls + 1,
                        "tokens": current.tokens + shown + may_answer,
                        "cost": current.cost + model.endpoints[0].cost(shown, may_answer),
                    }
                )
                await tx.save_investigation(running)
                return running, bundle, view, prompt
        self._heard(project.name, "cached", None)
        answer = _answer_of(earlier)
        if answer is not None:
            view = View.model_validate(earlier.run["view"])
            await self._conclude(project, current, answer, check(answer, view, bundle), view, None)
        return None

    async def _earlier(
        self, tx: Transaction, project: Project, wanted: Investigation, now: int
    ) -> Investigation | None:
        """An answer that serves again: to the very same question, or of this incident within the cooldown."""
        if project.model is None:
            return None
        same = await tx.answered_investigation(wanted.digest, PROMPT_VERSION)
        if same is None:
            asked = await tx.last_asked(wanted.signature, now - project.model.config.cooldown)
            same = asked if asked is not None and asked.incident_id == wanted.incident_id else None
        return same if same is not None and same.id != wanted.id and _answer_of(same) is not None else None

    async def _why_not(
        self,
        tx: Transaction,
        project: Project,
        chain: Chain,
        wanted: Investigation,
        incident: Incident,
        analysis: Analysis,
        now: int,
    ) -> _Why:
        """Why the model is not asked now; empty where it is."""
        if project.model is None or not incident.status.active:
            return _Why(f"the incident is {incident.status.value}", final=True)
        if analysis.source == "runbook":
            return _Why("a runbook settles it", final=True)
        if wanted.attempts >= _MAX_ATTEMPTS:
            return _Why(f"it was begun {wanted.attempts} times and never came to an end", final=True)
        if now - wanted.wanted_at > _STALE:
            return _Why(f"it waited for {duration(now - wanted.wanted_at)}", final=True)
        config = project.model.config
        asked = await tx.last_asked(wanted.signature, now - config.cooldown)
        if asked is not None and asked.id != wanted.id:
            return _Why(
                f"a model was asked about {wanted.signature} {duration(now - asked.updated_at)} ago (incident "
                f"{asked.incident_id}); one call a signature within {duration(config.cooldown)}"
            )
        hour = await tx.spending(now - HOUR)
        if hour.calls >= config.max_calls_per_hour:
            return _Why(f"{hour.calls} calls within the hour; model.max_calls_per_hour is {config.max_calls_per_hour}")
        day = await tx.spending(now - DAY)
        if day.tokens >= config.daily_tokens:
            return _Why(f"{day.tokens:,} tokens within the day; model.daily_tokens is {config.daily_tokens:,}")
        if day.cost >= config.daily_cost:
            return _Why(f"{day.cost:.2f} US dollars within the day; model.daily_cost is {config.daily_cost:.2f}")
        if resting := chain.resting_until:
            return _Why(f"every endpoint failed again and again; they rest until {utc(resting)}")
        return _Why("")

    # -- what becomes of it ----------------------------------------------------------------------------------------

    async def _end(
        self, project: Project, begun: Investigation, state: InvestigationState, why: str, **came_to: Any
    ) -> bool:
        """Keep what came of it; False where another sidecar took it over meanwhile, whose answer then counts."""
        now = self._clock.now()
        async with self._store.transaction(project.name) as tx:
            found = next((one for one in await tx.investigations(begun.incident_id) if one.id == begun.id), None)
            mine = found is not None and found.leased_until == begun.leased_until
            if mine:
                update = {"state": state, "why": why, "updated_at": now, "leased_until": None, **came_to}
                await tx.save_investigation(begun.model_copy(update=update))
        return mine

    async def _conclude(
        self,
        project: Project,
        investigation: Investigation,
        answer: ModelAnswer,
        verdict: Verdict,
        view: View,
        said: Conversation | None,
    ) -> None:
        details: dict[str, Any] = {
            "investigation": investigation.id,
            "prompt_version": PROMPT_VERSION,
            "masked": view.masked,
            "left_out": view.left_out,
            "name": said.replies[-1].model if said else investigation.model,
            "endpoint": said.replies[-1].endpoint if said else "cache",
            "tokens": said.tokens if said else 0,
            "cost_usd": round(said.cost, 6) if said else 0.0,
            "seconds": said.seconds if said else 0.0,
        }
        if verdict.cause is not None:
            text = f"a model names {verdict.cause_service or 'a cause'}: {verdict.cause.text}"
        elif verdict.undetermined:
            text = "a model finds the cause undetermined; the rules' analysis stands"
        else:
            text = "what a model said of the cause is not in what it cites; the rules' analysis stands"
        text += f" ({len(verdict.claims)} claims stand, {len(verdict.struck)} struck out)"
        concluder = self._concluders(project.name)
        if concluder is not None:
            await concluder.conclude(
                investigation.incident_id,
                lambda latest: conclude(latest.without_model(), answer, verdict, details),
                text,
            )

    # -- chains ----------------------------------------------------------------------------------------------------

    async def _chain(self, project: Project) -> Chain:
        """One a project, made anew where the configuration changed; a breaker's memory goes with the old one."""
        chain = self._chains.get(project.name)
        if chain is None or chain.model != project.model:
            if chain is not None:
                await chain.close()
            chain = self._chains[project.name] = self._make_chain(project)
        return chain

    def _chain_of(self, project: Project) -> Chain:
        if project.model is None:
            raise ValueError(f"{project.name} has no model")
        return Chain(project.model, self._clock)


def _held(wanted: Investigation, now: int, why: str) -> Investigation:
    return wanted.model_copy(
        update={
            "state": InvestigationState.HELD,
            "updated_at": now,
            "leased_until": None,
            "why": why,
            "calls": 0,
            "tokens": 0,
            "cost": 0.0,
        }
    )


def _reusing(wanted: Investigation, earlier: Investigation, now: int) -> Investigation:
    return wanted.model_copy(
        update={
            "state": InvestigationState.DONE,
            "updated_at": now,
            "leased_until": None,
            "model": earlier.model,
            "why": f"the answer of {utc(earlier.updated_at)} ({earlier.id}) is used again: nothing was asked",
            "run": {"answer_of": earlier.id, "view": earlier.run["view"], "answer": earlier.run["answer"]},
        }
    )


def _run(view: View, prompt: Prompt, said: Conversation) -> dict[str, Any]:
    """The whole run as it is kept. Everything in it has been masked already, but for what the model wrote."""
    return {
        "view": view.model_dump(),
        "prompt": list(prompt.messages),
        "answers": [{**asdict(reply), "text": mask(reply.text, Counter())[:64_000]} for reply in said.replies],
        "answer": said.answer.model_dump(mode="json") if said.answer is not None else None,
    }


def _answer_of(earlier: Investigation) -> ModelAnswer | None:
    kept = earlier.run.get("answer")
    return ModelAnswer.model_validate(kept) if kept else None
