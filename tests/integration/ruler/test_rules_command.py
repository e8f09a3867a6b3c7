"""`incidentlens rules` as people and programs use it, beside the local Loki."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import yaml

from incidentlens.localloki import LocalLoki
from ruler_running import configuration

TENANT = {"X-Scope-OrgID": "t-shop"}
RULES = "/loki/api/v1/rules/incidentlens-shop"


@pytest.fixture
async def loki(tmp_path: Path) -> AsyncIterator[LocalLoki]:
    async with LocalLoki(tmp_path / "loki", auth=True) as started:
        configuration(tmp_path, started.url, "t-shop", 8095)
        yield started


async def rules(folder: Path, *arguments: str) -> tuple[int, str, str]:
    """Status, stdout and stderr."""
    command = [sys.executable, "-m", "incidentlens.cli.main", "rules", *arguments]
    done = await asyncio.to_thread(
        subprocess.run, command, cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


async def ask(loki: LocalLoki, path: str = "") -> httpx.Response:
    async with httpx.AsyncClient(base_url=loki.url, headers=TENANT) as client:
        return await client.get(RULES + path)


async def write(loki: LocalLoki, group: str) -> None:
    async with httpx.AsyncClient(base_url=loki.url, headers=TENANT) as client:
        (await client.post(RULES, content=group)).raise_for_status()


def states(out: str) -> dict[str, str]:
    return {row["group"]: row["state"] for row in json.loads(out)}


async def test_a_change_is_shown_written_shown_as_done_and_taken_away(loki: LocalLoki, tmp_path: Path) -> None:
    status, out, err = await rules(tmp_path, "diff")
    assert status == 0
    assert "+  - alert: IncidentLensThreshold:db-deadlock" in out
    assert "3 create" in err
    assert (await ask(loki)).status_code == 404
    assert (await rules(tmp_path, "diff", "--exit-code"))[0] == 1
    status, out, _ = await rules(tmp_path, "sync", "--json")
    assert (status, set(states(out).values())) == (0, {"create"})
    status, out, _ = await rules(tmp_path, "sync", "--json")
    assert (status, set(states(out).values())) == (0, {"same"})
    assert (await rules(tmp_path, "diff", "--exit-code"))[0] == 0
    status, out, _ = await rules(tmp_path, "remove", "--json")
    assert (status, set(states(out).values())) == (0, {"delete"})
    assert (await ask(loki)).status_code == 404


async def test_what_a_hand_edited_is_reported_and_overwritten_only_when_told(loki: LocalLoki, tmp_path: Path) -> None:
    await rules(tmp_path, "sync")
    group = (await ask(loki, "/thresholds")).text
    edited = group.replace(">= 5)", ">= 50)")
    assert edited != group
    await write(loki, edited)
    for command in ("diff", "sync", "remove"):
        status, out, _ = await rules(tmp_path, command)
        assert status == 1
        assert "thresholds was edited by hand" in out
    assert (await ask(loki, "/thresholds")).text == edited
    assert (await rules(tmp_path, "sync", "--force"))[0] == 0
    assert (await ask(loki, "/thresholds")).text == group


async def test_rules_are_linted_by_us_and_by_loki(loki: LocalLoki, tmp_path: Path) -> None:
    status, out, _ = await rules(tmp_path, "lint", "--loki", "--json")
    assert (status, json.loads(out)["ok"]) == (0, True)
    path = tmp_path / "incidentlens.yaml"
    path.write_text(path.read_text().replace("ruler: {", "ruler: {groups: 1, "))
    status, out, _ = await rules(tmp_path, "lint", "--loki")
    assert status == 1
    assert "needs 3 rule groups, ruler.groups allows 1" in out


async def test_files_are_written_for_a_ruler_that_only_reads(loki: LocalLoki, tmp_path: Path) -> None:
    status, out, _ = await rules(tmp_path, "export", "--out", "rules", "--json")
    assert status == 0
    (row,) = json.loads(out)["files"]
    path = tmp_path / "rules/t-shop/incidentlens-shop.yaml"
    assert (row["file"], row["groups"], row["written"]) == ("rules/t-shop/incidentlens-shop.yaml", 3, True)
    written = path.read_text()
    assert [group["name"] for group in yaml.safe_load(written)["groups"]] == ["thresholds", "signals", "series"]
    for group in yaml.safe_load(written)["groups"]:
        await write(loki, yaml.safe_dump(group))
    assert (await rules(tmp_path, "diff", "--exit-code"))[0] == 0
    path.write_text(written.replace(">= 5)", ">= 6)"))
    status, out, _ = await rules(tmp_path, "export", "--out", "rules")
    assert status == 1
    assert "a hand edited it" in out
    assert (await rules(tmp_path, "export", "--out", "rules", "--force"))[0] == 0
    assert path.read_text() == written


async def test_what_cannot_be_done_is_one_line_that_says_what_to_do(loki: LocalLoki, tmp_path: Path) -> None:
    status, _, err = await rules(tmp_path, "diff", "--project", "nobody")
    assert (status, "there are shop" in err) == (2, True)
    assert (await rules(tmp_path, "sync", "--config", "nowhere.yaml"))[0] == 1
    await loki.stop()
    status, _, err = await rules(tmp_path, "sync")
    assert status == 1
    assert "cannot reach Loki" in err
    assert len(err.strip().splitlines()) == 1
