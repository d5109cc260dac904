"""What the extension adds to a page that merely has it: to JupyterLab's start, and while the page is idle and hidden.

The peer is the same JupyterLab on the same server, its page told of no extension of ours; the two start in turns.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from functools import partial

from playwright.sync_api import Request, Route, WebSocket

from benchmarks.support.lab import Lab, page
from benchmarks.support.own_engine import own_engine
from benchmarks.support.rows import Row, at_most, median

ROUNDS = 5
HIDDEN_S = 20
OURS = "jupyter-ext"

LOADED = """() => performance.getEntriesByType('resource')
    .filter(({name}) => name.includes('/extensions/jupyter-ext/')).reduce((sum, one) => sum + one.decodedBodySize, 0)"""
HIDE = """() => {
    Object.defineProperty(document, 'visibilityState', {get: () => 'hidden', configurable: true});
    document.dispatchEvent(new Event('visibilitychange'));
}"""
START = "() => fetch('/jupyter-ext/engine/native/engine').then(answer => answer.ok)"
PAGE = re.compile(r"/lab\?")
CONFIG = re.compile(r'(<script id="jupyter-config-data"[^>]*>)(.*?)(</script>)', re.DOTALL)


def without_us(route: Route) -> None:
    """Answer with the page as a JupyterLab without the extension would write it."""
    answer = route.fetch()

    def strip(found: re.Match[str]) -> str:
        config = json.loads(found[2])
        config["federated_extensions"] = [
            one for one in config["federated_extensions"] if one["name"] != OURS
        ]
        return found[1] + json.dumps(config).replace("<", "\\u003c") + found[3]

    route.fulfill(response=answer, body=CONFIG.sub(strip, answer.text()))


def with_us(route: Route) -> None:
    """Answer with the page as it is: a page whose answers are looked into has no cache, so the other has none either."""
    route.fulfill(response=route.fetch())


def start_ms(lab: Lab, answer: Callable[[Route], None]) -> float:
    """Return what JupyterLab takes from its address to its restored layout, milliseconds."""
    lab.page.route(PAGE, answer)
    began = time.perf_counter()
    lab.open_lab()
    took = time.perf_counter() - began
    lab.page.unroute(PAGE, answer)
    return 1000 * took


def measure(lab: Lab) -> Iterator[Row]:
    """Measure all in one browser."""
    lab.open_lab()
    loaded = lab.page.evaluate(LOADED) / 1000
    yield Row("loaded at JupyterLab's start", loaded, "kB", goal=at_most(60, "kB"))
    ours, theirs = [], []
    for _ in range(ROUNDS):
        ours.append(start_ms(lab, with_us))
        theirs.append(start_ms(lab, without_us))
        if lab.page.evaluate(LOADED):
            raise RuntimeError("The page that should be without the extension has loaded it.")
    peer = "without the extension"
    yield Row("JupyterLab's start", median(ours), "ms", peer, median(theirs), at_most(1.1))
    yield Row("added to JupyterLab's start", median(ours) - median(theirs), "ms")
    yield from idle(lab)


def keep(asked: list[str], what: Request | WebSocket) -> None:
    """Keep the address of what a page asks for."""
    asked.append(what.url)


def idle(lab: Lab) -> Iterator[Row]:
    """Count what a page asks for while it is hidden and nothing runs, with an engine and without."""
    for name, prepare in (("without an engine", "() => undefined"), ("with an engine", START)):
        lab.open_lab()
        lab.page.evaluate(prepare)
        lab.page.evaluate(HIDE)
        lab.page.wait_for_timeout(
            1000
        )  # what was asked before has its answer; JupyterLab itself is never silent
        asked: list[str] = []
        lab.page.on("request", partial(keep, asked))
        lab.page.on("websocket", partial(keep, asked))
        lab.page.wait_for_timeout(1000 * HIDDEN_S)
        mine = sum(f"/{OURS}/" in url for url in asked)
        yield Row(
            f"requests of an idle hidden page, {name}", mine * 60 / HIDDEN_S, "/min", goal=at_most(0, "/min")
        )


def run() -> Iterator[Row]:
    """Measure with a server and an engine of its own."""
    with own_engine(), page() as lab:
        yield from measure(lab)
