"""A policy tried on the project's own past."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from incidentlens.api.auth import Principal, Reader, Serving
from incidentlens.api.errors import ApiError
from incidentlens.api.params import as_json, read_time
from incidentlens.api.seams import Services
from incidentlens.model.yamlfile import YamlError, parse
from incidentlens.pipeline.backtest import backtest_project
from incidentlens.policy import Policy
from incidentlens.policy.backtest import Backtest, changed_policy

router = APIRouter(prefix="/api/policy", tags=["policy"])

LIMIT = 5_000  # decisions at most that are taken again for an asker
MAX_YAML = 100_000
SHOWN = 200


class BacktestBody(BaseModel):
    """Nothing is changed by it: the policy in force stays in force."""

    model_config = ConfigDict(extra="forbid")

    since: str = Field(default="30d", max_length=64, description="How far back: 7d, 12h, or a time.")
    policy: str = Field(
        default="", max_length=MAX_YAML, description="The policy to try, as YAML; the one in force where it is empty."
    )
    settings: list[Annotated[str, StringConstraints(max_length=200)]] = Field(
        default_factory=list, max_length=50, description="key=value on it, such as cooldown_minutes=30."
    )


async def tried(services: Services, principal: Principal, body: BacktestBody) -> Backtest:
    """The project's decisions since then under that policy. ApiError 400 for a policy that is none, 429 while another
    is under way."""
    now = services.clock.now()
    since = read_time(body.since, now, "since")
    if not body.policy.strip() and not body.settings:
        raise ApiError(400, "nothing to try: give a policy as YAML, or settings such as cooldown_minutes=30")
    try:
        policy = principal.project.policy
        if body.policy.strip():
            policy = parse(body.policy, "policy").validate(Policy)
        policy = changed_policy(policy, body.settings)
    except (YamlError, ValueError) as error:
        raise ApiError(400, str(error)) from None
    if services.replaying.locked():
        raise ApiError(429, "another replay or backtest is under way; ask again in a moment")
    keep_mode = not any(setting.partition("=")[0].strip() == "mode" for setting in body.settings)
    async with services.replaying:
        return await backtest_project(
            services.queries,
            principal.project.name,
            policy,
            since=0 if since is None else since,
            keep_mode=keep_mode,
            limit=LIMIT,
        )


@router.post("/backtest", response_model=Backtest, summary="What would another policy have done?")
async def backtest(services: Serving, principal: Reader, body: BacktestBody) -> Response:
    """The stored decisions taken again: who would have been told, what suppressed, what weighed otherwise.

    At most 5,000 decisions, the latest; `cut` counts the rest. `incidentlens policy backtest` also tries runbooks."""
    return as_json(await tried(services, principal, body))
