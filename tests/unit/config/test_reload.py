"""Files that change while it runs: the good is in force at once, the bad never."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager

import pytest

from incidentlens.config.loader import load_config
from incidentlens.config.reload import Reloader
from incidentlens.model.terms import Mode

CONFIG = """\
version: 1
store:
  url: postgresql://localhost/incidentlens
loki:
  bearer_token_file: token
projects:
  shop:
    queries:
      - name: logs
        logql: '{{env="{env}"}}'
    policy: policies/shop.yaml
    runbooks: [runbooks]
    templates: [templates]
    builtin_runbooks: false
"""
RUNBOOK = """\
id: {id}
name: A runbook
description: what to do
default_severity: high
disposition: NEEDS_DEV
patterns: [{pattern}]
steps: [look]
"""


class Files:
    """A configuration in a folder, and what a person does to it."""

    def __init__(self, folder):
        self.folder = folder
        self.write("incidentlens.yaml", CONFIG.format(env="prod"))
        self.write("policies/shop.yaml", "mode: shadow\n")
        self.write("runbooks/one.yaml", RUNBOOK.format(id="one", pattern="boom"))
        self.write("templates/summary.md.j2", "{{ incident.title }}")
        self.write("token", "first-token")

    @property
    def path(self):
        return self.folder / "incidentlens.yaml"

    def write(self, name, text):
        """As an editor does it: a new file takes the old one's place."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f"{path.name}~")
        beside.write_text(text, "utf-8")
        beside.replace(path)


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path)


@asynccontextmanager
async def watching(files):
    """(reloader, the next change): the watch is on while the block runs."""
    reloader = Reloader(load_config(files.path, {}))
    stop = asyncio.Event()
    heard: asyncio.Queue = asyncio.Queue()

    async def follow():
        async for loaded in reloader.changes(stop):
            heard.put_nowait(loaded)

    task = asyncio.create_task(follow())
    await asyncio.sleep(0.15)

    async def following():
        return (await asyncio.wait_for(heard.get(), 5)).projects["shop"]

    try:
        yield reloader, following
    finally:
        stop.set()
        await asyncio.wait_for(task, 5)


async def refused(reloader):
    for _ in range(100):
        if reloader.refused is not None:
            return reloader.refused
        await asyncio.sleep(0.05)
    raise AssertionError("it was not refused")


async def test_a_good_change_comes_into_force(files):
    async with watching(files) as (reloader, following):
        files.write("incidentlens.yaml", CONFIG.format(env="test"))
        project = await following()
        assert 'env="test"' in project.queries[0].logql
        assert reloader.current.projects["shop"] is project
        assert reloader.refused is None


async def test_a_bad_change_is_refused_with_its_reason_and_the_last_good_one_stays(files):
    async with watching(files) as (reloader, following):
        before = reloader.current
        files.write("incidentlens.yaml", CONFIG.format(env="test").replace("policy:", "polcy:"))
        reason = await refused(reloader)
        assert "incidentlens.yaml:11" in reason
        assert "did you mean 'policy'" in reason
        assert reloader.current is before
        files.write("incidentlens.yaml", CONFIG.format(env="stage"))
        assert 'env="stage"' in (await following()).queries[0].logql
        assert reloader.refused is None


async def test_a_policy_file_that_changes_its_mode_is_in_force(files):
    async with watching(files) as (_, following):
        files.write("policies/shop.yaml", "mode: live\n")
        assert (await following()).policy.mode is Mode.LIVE


@pytest.mark.parametrize("name", ["runbooks/one.yaml", "runbooks/two.yaml"])
async def test_a_runbook_that_changes_or_is_new_is_in_force(files, name):
    async with watching(files) as (_, following):
        files.write(name, RUNBOOK.format(id="another", pattern="bang"))
        assert "another" in {runbook.id for runbook in (await following()).runbooks}


async def test_a_runbook_in_a_new_folder_is_found(files):
    async with watching(files) as (_, following):
        (files.folder / "runbooks" / "db").mkdir()
        await following()  # the folder itself is a change
        files.write("runbooks/db/two.yaml", RUNBOOK.format(id="two", pattern="bang"))
        assert {runbook.id for runbook in (await following()).runbooks} == {"one", "two"}


async def test_a_runbook_that_is_taken_away_is_gone(files):
    files.write("runbooks/two.yaml", RUNBOOK.format(id="two", pattern="bang"))
    async with watching(files) as (_, following):
        (files.folder / "runbooks/two.yaml").unlink()
        assert {runbook.id for runbook in (await following()).runbooks} == {"one"}


async def test_a_secret_that_is_renewed_is_used(files):
    async with watching(files) as (_, following):
        files.write("token", "second-token")
        assert (await following()).loki.bearer_token == "second-token"


async def test_a_template_that_changes_is_taken_and_a_broken_one_is_refused(files):
    async with watching(files) as (reloader, following):
        files.write("templates/summary.md.j2", "{{ broken")
        assert "summary.md.j2" in await refused(reloader)
        files.write("templates/summary.md.j2", "# {{ incident.title }}")
        await following()
        assert reloader.refused is None


async def test_a_file_that_a_refused_state_named_is_watched_until_it_is_mended(files):
    async with watching(files) as (reloader, following):
        files.write("incidentlens.yaml", CONFIG.format(env="prod").replace("policies/shop", "elsewhere/shop"))
        assert "elsewhere" in await refused(reloader)
        (files.folder / "elsewhere").mkdir(exist_ok=True)
        await asyncio.sleep(0.4)
        files.write("elsewhere/shop.yaml", "mode: live\n")
        files.write("incidentlens.yaml", CONFIG.format(env="prod").replace("policies/shop", "elsewhere/shop"))
        assert (await following()).policy.mode is Mode.LIVE


async def test_mounted_settings_that_are_changed_by_turning_a_link_are_followed(tmp_path):
    """As Kubernetes mounts them: incidentlens.yaml -> ..data/incidentlens.yaml, ..data -> a folder a version."""
    mount = tmp_path / "mount"
    for version, env in (("v1", "prod"), ("v2", "test")):
        Files(mount / version).write("incidentlens.yaml", CONFIG.format(env=env))
    (mount / "..data").symlink_to("v1")
    for name in ("incidentlens.yaml", "policies", "runbooks", "templates", "token"):
        (mount / name).symlink_to(f"..data/{name}")

    class Mounted:
        path = mount / "incidentlens.yaml"

    async with watching(Mounted) as (_, following):
        (mount / "..tmp").symlink_to("v2")
        os.replace(mount / "..tmp", mount / "..data")
        assert 'env="test"' in (await following()).queries[0].logql


async def test_what_lies_beside_the_files_does_not_matter(files):
    (files.folder / "node_modules/deep/tree").mkdir(parents=True)
    async with watching(files) as (reloader, _):
        (files.folder / "node_modules/deep/tree/other.yaml").write_text("x: 1")
        (files.folder / "notes.txt").write_text("nothing")
        await asyncio.sleep(0.5)
        assert reloader.reloads == 0
        assert reloader.refused is None
