"""The table of findings on page 05 names the place of each rule, and tests that are there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FINDINGS = {*(str(number) for number in range(1, 13)), *(f"K{number}" for number in range(1, 11))}


def rows() -> list[list[str]]:
    text = (ROOT / "docs/architecture/05-trust.md").read_text(encoding="utf-8")
    section = text.partition("\n## What attacks and kills have found")[2].partition("\n## ")[0]
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in section.splitlines()
        if line[:1] == "|"
    ]
    return cells[2:]


@cache
def names_in(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / "tests" / path).read_text(encoding="utf-8"))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(
        node.name for node in tree.body if isinstance(node, functions) and node.name.startswith("test_")
    )


@pytest.mark.parametrize("row", rows(), ids=lambda row: f"{row[0]} {row[1]}")
def test_a_finding_has_its_place_and_its_tests(row: list[str]) -> None:
    _, found, rule, place, tests = row
    assert found
    assert rule
    assert list((ROOT / "jupyter_ext").rglob(place.strip("`"))), place
    for part in tests.split("; "):
        path, *names = re.findall(r"`([^`]+)`", part)
        assert names, f"{path} proves it by which test?"
        assert set(names) <= names_in(path)


def test_no_finding_is_forgotten() -> None:
    assert {row[0] for row in rows()} == FINDINGS
