"""The pages name what exists, and what exists is named: paths, links, magics, environment variables, make targets."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from jupyter_ext.magics.debugging import DebuggingMagics
from jupyter_ext.magics.engine import EngineMagics
from jupyter_ext.magics.models import ModelMagics
from jupyter_ext.magics.training import TrainingMagics

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
SOURCES = ("jupyter_ext", "widgets", "labextension", "docs", "tests", "benchmarks", "notebooks", ".ci")
SUFFIXES = ("", ".py", ".ts", ".md")
GENERATED = {"node_modules", "__pycache__", "static", "schemas", "lib", "screenshots", "results"}

_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`([^`\n]+)`")
_PATH = re.compile(r"(?:[\w.-]+/)+[\w.-]+/?")
_PLACED = re.compile(
    r"((?:`[A-Za-z_]\w*`(?:, | or | and )\s*)*`[A-Za-z_]\w*`)\s(?:in|of|from)\s`((?:[\w.-]+/)+[\w.-]+\.(?:py|ts))`"
)
_LINK = re.compile(r"\]\(([^)\s]+)\)|\b(?:src|srcset|href)=\"([^\"\s]+)\"")
_VARIABLE = re.compile(r"\bJUPYTER_EXT_[A-Z0-9_]+\b")


@cache
def _tree() -> frozenset[tuple[str, ...]]:
    """Every file and folder of the repository, and every end of its path, in parts."""
    found = {(path.name,) for path in ROOT.iterdir() if path.is_file()}
    for top in SOURCES:
        for folder, folders, files in os.walk(ROOT / top):
            folders[:] = [name for name in folders if name not in GENERATED]
            parts = Path(folder).relative_to(ROOT).parts
            for whole in (parts, *((*parts, name) for name in files)):
                found |= {whole[start:] for start in range(len(whole))}
    return frozenset(found)


def _is_named_wrongly(name: str) -> bool:
    """Tell whether `name` claims to be a path of the repository and is none.

    A claim is a path of two parts or more that begins with a folder of ours. It may leave out the folders above, the
    suffix of a module, and may end in a name that the module defines (`protocol/model_refs.HUB_VARIABLES`). `NAME` stands
    for a name that the reader chooses.
    """
    if not _PATH.fullmatch(name):
        return False
    *folders, last = name.rstrip("/").split("/")
    if (folders[0],) not in _tree() or last.split(".")[0] == "NAME":
        return False
    if any((*folders, last + suffix) in _tree() for suffix in SUFFIXES):
        return False
    module, _, attribute = last.partition(".")
    return not (
        attribute.isidentifier()
        and (*folders, f"{module}.py") in _tree()
        and any(
            re.search(rf"\b{attribute}\b", path.read_text())
            for path in (ROOT / "jupyter_ext").rglob("/".join((*folders, f"{module}.py")))
        )
    )


def _wrong_paths(text: str) -> Iterator[str]:
    yield from filter(_is_named_wrongly, _CODE.findall(_FENCE.sub("", text)))


def _strays(text: str) -> Iterator[str]:
    """Yield what a text says stands in a module, as in "`_LINE` or `_CELL` in `magics/__init__.py`", and does not."""
    for names, module in _PLACED.findall(_FENCE.sub("", text)):
        homes = [
            path for top in SOURCES for path in (ROOT / top).rglob(module) if "node_modules" not in path.parts
        ]
        sources = [path.read_text() for path in [*homes, ROOT / module] if path.is_file()]
        for name in _CODE.findall(names):
            if not any(re.search(rf"\b{name}\b", source) for source in sources):
                yield f"{name} in {module}"


def _dead_links(page: Path) -> Iterator[str]:
    for pair in _LINK.findall(_CODE.sub("", _FENCE.sub("", page.read_text()))):
        target = "".join(pair).partition("#")[0]
        if target and not re.match(r"[a-z]+:", target) and not (page.parent / target).exists():
            yield target


def _documented() -> str:
    return "\n".join(page.read_text() for page in PAGES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_page_names_only_paths_that_exist(page: Path) -> None:
    assert list(_wrong_paths(page.read_text())) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_page_has_no_dead_link(page: Path) -> None:
    assert list(_dead_links(page)) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_says_of_a_module_stands_in_it(page: Path) -> None:
    assert list(_strays(page.read_text())) == []


def test_a_moved_name_is_noticed() -> None:
    text = "Add it to `_CELL`, `_LINE` or `_GONE` in `jupyter_ext/magics/__init__.py`, `Backend`\nfrom `engine/app.py`"
    assert list(_strays(text)) == ["_GONE in jupyter_ext/magics/__init__.py", "Backend in engine/app.py"]


def test_a_moved_module_is_noticed() -> None:
    text = (
        "`client/nowhere.py` `widgets/src/table` `worker/nothing` `protocol/model_refs.NOTHING` `tests/gone/`"
    )
    assert list(_wrong_paths(text)) == text.replace("`", "").split()


def test_what_only_looks_like_a_path_is_left_alone() -> None:
    right = "`engine/app.py` `tests/contract` `protocol/model_refs.HUB_VARIABLES` `jupyter_ext/engine`"
    other = (
        "`org/name` `text/plain` `train/loss` `/v1/models` `code/<n>/` `local_models/partials` `GET /models`"
    )
    assert list(_wrong_paths(f"{right} {other}\n```\nclient/nowhere.py `client/nowhere.py`\n```\n")) == []


def test_a_dead_link_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text('[a](page.md#b) [c](https://d.org) `[e](f)` [g](gone.md) <img src="gone.png">')
    assert list(_dead_links(page)) == ["gone.md", "gone.png"]


def test_every_magic_is_documented() -> None:
    magics = [
        (name, {"line": "%", "cell": "%%"}[kind] + name)
        for each in (TrainingMagics, DebuggingMagics, ModelMagics, EngineMagics)
        for kind, names in each.magics.items()
        for name in names
    ]
    assert magics
    text = _documented()
    assert [magic for _, magic in magics if not re.search(rf"(?<!%){re.escape(magic)}\b", text)] == []


def test_every_environment_variable_is_documented() -> None:
    """A name counts where a program reads or sets it; what ends in `_` is only the beginning of one."""
    suffixes = {".py", ".ts", ".mjs"}
    sources = [
        path
        for top in ("jupyter_ext", "widgets", "labextension", "tests", "benchmarks", ".ci")
        for folder, folders, files in os.walk(ROOT / top)
        for path in (Path(folder) / name for name in files)
        if path.suffix in suffixes and not GENERATED & set(path.parts) and path != Path(__file__)
    ]
    used = set(_VARIABLE.findall("\n".join(path.read_text() for path in [*sources, ROOT / "Makefile"])))
    named = set(_VARIABLE.findall(_documented()))
    assert {name for name in used - named if not name.endswith("_")} == set(), "used, and documented nowhere"
    assert named - used == set(), "documented, and used nowhere"


def test_every_make_target_is_documented() -> None:
    targets = set(re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:`|^)make ([a-z]+)", _documented(), re.MULTILINE))
    assert targets - named == set(), "of the Makefile, and documented nowhere"
    assert named - targets == set(), "documented, and not in the Makefile"


def test_changelog_says_each_thing_once() -> None:
    """Git merges the file by union, which keeps both sides of a conflict."""
    versions = re.split(r"^## ", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)[1:]
    for version in versions:
        kinds = re.split(r"^### ", version, flags=re.MULTILINE)[1:]
        _once_each([kind.partition("\n")[0] for kind in kinds])
        for kind in kinds:
            _once_each(re.findall(r"^#### .*", kind, re.MULTILINE))
        _once_each([entry[:60] for entry in re.findall(r"^- .*", version, re.MULTILINE)])


def _once_each(lines: list[str]) -> None:
    assert sorted(line for line in set(lines) if lines.count(line) > 1) == [], "twice in CHANGELOG.md"
