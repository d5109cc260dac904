"""What hinders who uses a screen reader, the keyboard alone or high contrast, as axe-core finds it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from lab_page import Lab

AXE = Path(__file__).parents[3] / "node_modules" / "axe-core" / "axe.min.js"
RUN_AXE = """async selector => {
    const options = {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'], resultTypes: ['violations']};
    const {violations} = await axe.run({include: [[selector]]}, options);
    return violations.filter(({impact}) => impact === 'serious' || impact === 'critical')
        .map(({id, nodes}) => [id, nodes.slice(0, 4).map(({html, any}) => `${html.slice(0, 160)} ${any[0]?.message ?? ''}`)]);
}"""
"""What hinders somebody seriously, below an element."""


def serious_in(lab: Lab, selector: str) -> list[Any]:
    """Return what hinders somebody seriously in the elements of a selector; skips without axe-core, and fails in CI."""
    if not AXE.exists():
        message = "axe-core is not installed: run `npm ci`."
        pytest.fail(message) if os.environ.get("CI") == "true" else pytest.skip(message)
    if not lab.page.evaluate("() => 'axe' in window"):
        lab.page.add_script_tag(path=AXE)
    found: list[Any] = lab.page.evaluate(RUN_AXE, selector)
    return found
