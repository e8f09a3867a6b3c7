"""The pages in Debian's chromium: they update by themselves, keep what a person does, and fit every screen."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

import pytest

from api_app import NOW, FakeSidecar, load
from builders import T0, make_evidence
from incidentlens.api.server import serve_in_background
from incidentlens.model.clock import ManualClock
from incidentlens.store.base import Quarantined
from incidentlens.store.postgres import PostgresStore
from incidents_in_store import POOL, put

playwright = pytest.importorskip("playwright.async_api", reason="playwright is not installed")

CHROMIUM = os.environ.get("INCIDENTLENS_CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="there is no chromium; apt-get install chromium"),
]

PATHS = (
    "/",
    "/incidents/i1",
    "/signatures",
    f"/signatures/{quote(POOL, safe='')}",
    "/runbooks",
    "/planned",
    "/quarantine",
)
WAIT = 15_000  # ms; a machine that does much else is slow


@dataclass
class Site:
    url: str
    store: PostgresStore
    browser: playwright.Browser

    async def page(self, width: int = 1280, *, scheme: str = "light", script: bool = True) -> playwright.Page:
        """A fresh page; whatever the browser complains of fails the test."""
        context = await self.browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=script
        )
        page = await context.new_page()
        page.set_default_timeout(WAIT)
        return page


@pytest.fixture
async def site(tmp_path: Path, postgres_store: PostgresStore) -> AsyncIterator[Site]:
    loaded = load(tmp_path, tokens=False)
    server = loaded.config.server.model_copy(update={"listen": "127.0.0.1:0"})
    loaded = replace(loaded, config=loaded.config.model_copy(update={"server": server}))
    await put(postgres_store)
    async with contextlib.AsyncExitStack() as stack:
        url = await serve_in_background(stack, loaded, postgres_store, FakeSidecar(), ManualClock(NOW))
        started = await stack.enter_async_context(playwright.async_playwright())
        browser = await started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        stack.push_async_callback(browser.close)
        yield Site(url, postgres_store, browser)


async def test_no_page_scrolls_sideways_and_none_complains(site: Site) -> None:
    line = "A" * 10_000
    async with site.store.transaction("shop") as tx:
        await tx.save_evidence("i1", [make_evidence(8, text=line, service="s" * 300)])
    for width, scheme in ((400, "light"), (400, "dark"), (1280, "light")):
        page = await site.page(width, scheme=scheme)
        complaints: list[str] = []
        page.on("console", lambda message, kept=complaints: kept.append(message.text))
        page.on("pageerror", lambda error, kept=complaints: kept.append(str(error)))
        for path in PATHS:
            await page.goto(site.url + path)
            # A word of the navigation broken in two makes it two lines high.
            assert await page.locator("nav").first.evaluate("one => one.clientHeight") < 45
            for details in await page.locator("details").all():
                await details.evaluate("(one) => { one.open = true; }")
            assert await page.evaluate("document.documentElement.scrollWidth") <= width, (path, width)
        assert complaints == []
        await page.context.close()


async def test_light_and_dark_follow_the_system(site: Site) -> None:
    colours = []
    for scheme in ("light", "dark"):
        page = await site.page(scheme=scheme)
        await page.goto(site.url)
        colours.append(await page.evaluate("getComputedStyle(document.body).backgroundColor"))
        await page.context.close()
    assert colours[0] != colours[1]


async def test_texts_stand_out_enough_from_what_is_behind_them(site: Site) -> None:
    """WCAG's contrast of at least 4.5 for every text on every page, light and dark."""
    for scheme in ("light", "dark"):
        page = await site.page(scheme=scheme)
        for path in PATHS:
            await page.goto(site.url + path)
            assert await page.evaluate(CONTRAST) == [], (path, scheme)
        await page.context.close()


CONTRAST = """() => {
  const parse = (text) => { const [r, g, b, a = 1] = text.match(/[0-9.]+/g).map(Number); return [r, g, b, a]; };
  const lum = ([r, g, b]) => {
    const part = (v) => { const c = v / 255; return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = parse(getComputedStyle(e).backgroundColor);
      if (colour[3] === 1) return colour;
    }
    return [255, 255, 255, 1];
  };
  const weak = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode;
    const element = node.parentElement;
    if (!node.textContent.trim() || !element.checkVisibility() || element.closest("svg, .sr, .skip, option")) continue;
    const [one, other] = [lum(parse(getComputedStyle(element).color)), lum(behind(element))];
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (ratio < 4.5) weak.add(`${element.tagName}.${element.className} ${ratio.toFixed(2)}`);
  }
  return [...weak];
}"""


async def test_the_list_shows_a_new_incident_by_itself(site: Site) -> None:
    page = await site.page()
    await page.goto(site.url)
    await page.locator('.live[data-state="on"]').wait_for()
    await put(site.store, "i2", title="Something else broke")
    await page.get_by_role("link", name="Something else broke").wait_for()


async def test_an_update_keeps_typed_text_open_details_and_the_place(site: Site) -> None:
    page = await site.page()
    await page.goto(f"{site.url}/incidents/i1")
    await page.locator('.live[data-state="on"]').wait_for()
    await page.locator("#snapshot > summary").click()
    await page.locator("input[name=text]").fill("half a sentence")
    await page.evaluate("scrollTo(0, 300)")
    async with site.store.transaction("shop") as tx:
        incident = await tx.incident("i1")
        assert incident is not None
        await tx.save_incident(incident.model_copy(update={"title": "A better title", "updated_at": T0 + 1}))
        await tx.save_evidence("i1", [make_evidence(8, text="one more line")])
    await page.get_by_role("heading", name="A better title").wait_for()
    await page.get_by_text("one more line").wait_for()
    assert await page.locator("input[name=text]").input_value() == "half a sentence"
    assert await page.locator("#snapshot").get_attribute("open") is not None
    assert await page.evaluate("scrollY") == pytest.approx(300, abs=80)


async def test_everything_works_without_a_script(site: Site) -> None:
    page = await site.page(400, script=False)
    await page.goto(site.url)
    await page.get_by_label("critical", exact=True).check()
    await page.get_by_role("button", name="Filter").click()
    await page.get_by_text("No incident fits these filters").wait_for()
    await page.get_by_role("link", name="Clear").click()
    await page.get_by_role("link", name="Connection pool exhausted in db").click()
    await page.locator("input[name=text]").fill("rolled back")
    await page.get_by_role("button", name="Close").click()
    await page.get_by_text("Closed.").wait_for()
    await page.get_by_text("rolled back").first.wait_for()
    await page.get_by_role("button", name="Re-open").click()
    await page.get_by_role("button", name="Close").wait_for()
    assert await page.locator("noscript").count() >= 1


async def test_maintenance_is_announced_and_ended_without_a_script_on_a_phone(site: Site) -> None:
    page = await site.page(400, script=False)
    await page.goto(site.url + "/planned")
    await page.get_by_label("Services").fill("db")
    await page.get_by_label("Minutes", exact=True).fill("30")
    await page.get_by_role("button", name="Announce maintenance").click()
    await page.get_by_text("tell nobody.").wait_for()
    await page.get_by_role("button", name="Call it off").click()
    await page.get_by_text("None holds").wait_for()
    await page.get_by_label("Service", exact=True).fill("payment")
    await page.get_by_label("Version").fill("v7")
    await page.get_by_role("button", name="Announce a deploy").click()
    await page.get_by_text("v7").wait_for()


async def test_records_put_aside_are_read_without_a_script_on_a_phone(site: Site) -> None:
    line = "<script>alert(1)</script> " + "A" * 5_000
    record = Quarantined(
        id="r_1", ts=T0, service="db", stream="{}", metadata=None, line=line, error="ValueError: no", at=T0
    )
    async with site.store.transaction("shop") as tx:
        await tx.add_quarantined([record])
    page = await site.page(400, script=False)
    await page.goto(site.url + "/quarantine")
    await page.get_by_text("ValueError: no").wait_for()
    await page.get_by_text("<script>alert(1)</script>").first.wait_for()
    page = await site.page(400)
    await page.goto(site.url + "/quarantine")
    assert await page.evaluate("document.documentElement.scrollWidth") <= 400


async def test_a_citation_leads_to_its_line_even_in_a_closed_part(site: Site) -> None:
    async with site.store.transaction("shop") as tx:
        await tx.save_evidence("i1", [make_evidence(number, text=f"line {number}") for number in range(20, 40)])
    page = await site.page()
    await page.goto(f"{site.url}/incidents/i1#ev-r_{39:016x}")
    await page.get_by_text("line 39").wait_for()
    assert await page.locator("#records").get_attribute("open") is not None


async def test_log_lines_run_no_script(site: Site) -> None:
    evil = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
    await put(site.store, "evil", title=evil, summary=evil)
    page = await site.page()
    for path in ("/", "/incidents/evil"):
        await page.goto(site.url + path)
        await page.get_by_text("document.title").first.wait_for()
        assert "owned" not in (await page.title()).replace(evil, "")
        assert await page.locator("main img").count() == 0


async def test_a_filter_is_applied_as_soon_as_it_is_chosen(site: Site) -> None:
    page = await site.page()
    await page.goto(site.url)
    await page.get_by_label("low", exact=True).check()
    await page.get_by_text("No incident fits these filters").wait_for()
    assert "severity=low" in page.url


async def test_the_pages_can_be_walked_by_keyboard(site: Site) -> None:
    page = await site.page()
    await page.goto(site.url)
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.textContent") == "Skip to the content"
    await page.keyboard.press("Enter")
    await page.locator("a.title").first.focus()
    await page.keyboard.press("Enter")
    await page.get_by_role("heading", name="Suspected cause").wait_for()
