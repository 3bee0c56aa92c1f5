"""Neo4j Browser in a real Chromium: the deep link holds the run's query, and the graph comes up in our style."""

from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from api.client import Client
from trainer.world.files import render_with_truth
from workers import local_stack

CHROMIUM = Path("/usr/bin/chromium")
STYLED = "#2E86AB"  # a static object's colour in style.grass


@pytest.mark.skipif(not CHROMIUM.exists(), reason="Chromium is not installed (Debian: apt-get install chromium)")
@pytest.mark.timeout(240)
def test_the_deep_link_shows_the_styled_graph(service: Client, world: Path, tmp_path: Path) -> None:
    video = render_with_truth(7, world, clips=2)
    run = service.upload(video.video, process="true", model="perfect")["run"]["id"]
    assert service.until_final(f"/v1/runs/{run}")["state"] == "succeeded"
    link = service.get(f"/v1/graphs/{run}")["browser_url"]
    home = next(p for p in world.parent.glob("stack*") if local_stack.running(p))
    password = (home / "neo4j" / "password").read_text()
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=flags)
        page = browser.new_page(viewport={"width": 1500, "height": 950})
        page.goto(link, wait_until="domcontentloaded")
        page.locator("input[name=password], input[type=password]").first.fill(password, timeout=60_000)
        page.locator("[data-testid=connect]").first.click()
        editor = page.locator(".monaco-editor").first
        editor.wait_for(timeout=60_000)
        page.wait_for_timeout(3000)
        assert run in page.content().replace("\u00a0", " ")
        editor.click()
        page.keyboard.press("Control+Enter")
        page.locator("svg .node").first.wait_for(timeout=60_000)
        page.wait_for_timeout(3000)
        page.screenshot(path=str(tmp_path / "browser.png"))
        fills = {c.get_attribute("fill") for c in page.locator("svg .node circle").all()}
        captions = " ".join(page.locator("svg .node text").all_text_contents())
        browser.close()
    assert STYLED.lower() in {str(f).lower() for f in fills}
    assert any(t.color in captions for c in video.scene.clips for t in c.things)
