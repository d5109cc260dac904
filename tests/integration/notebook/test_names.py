"""What a name or an id means, wherever a person writes one."""

from __future__ import annotations

import ast
import itertools

import pytest
from kernel_tools import Kernel

LONG = "resnet50-imagenet-lr0.001-bs256"


@pytest.fixture(scope="module")
def ids(kernel: Kernel) -> dict[str, str]:
    """Start four trainings, two of one name, and return their ids; the newest of a name counts."""
    kernel.run(
        f"runs = [jx.train(lambda: 1, name=name).wait() for name in ('g', 'other', 'other', {LONG!r})]"
    )
    found: dict[str, str] = ast.literal_eval(kernel.run("{run.name: run.id for run in runs}").result)
    return found


@pytest.mark.parametrize("name", ["g", "other", LONG])
def test_a_name_means_the_newest_training_of_exactly_that_name(
    kernel: Kernel, ids: dict[str, str], name: str
) -> None:
    assert kernel.run(f"jx.trainings.get({name!r}).id").result == repr(ids[name])
    assert kernel.run(f"%training {name}").panel["text/plain"].startswith(f"<Training {name} ")


def test_an_id_and_a_unique_beginning_of_it(kernel: Kernel, ids: dict[str, str]) -> None:
    assert kernel.run(f"jx.trainings.get({ids['g']!r}).name").result == "'g'"
    assert kernel.run(f"jx.trainings.get({ids['g'][:25]!r}).name").result == "'g'"


def test_what_fits_several_or_none_is_refused_in_one_line(kernel: Kernel, ids: dict[str, str]) -> None:
    pairs = zip(ids["other"], ids[LONG], strict=True)
    shared = "".join(one for one, _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
    for text, says in (
        (shared, "Write more of the id." if len(shared) >= 6 else "Of an id, write at least 6 characters: "),
        (ids["g"][:4], "Of an id, write at least 6 characters: "),
        (ids["g"][-6:], f"Close to it: g ({ids['g']})"),
        ("othr", "Close to it: other ("),
        ("resnet50", f"Close to it: {LONG} ("),
    ):
        for code in (f"jx.trainings.get({text!r})", f"%training {text} cancel"):
            cell = kernel.run(code)
            assert cell.error is not None, code
            assert cell.error.startswith("UnknownId: ")
            assert says in cell.error
            assert len(cell.traceback.strip().splitlines()) == 1
