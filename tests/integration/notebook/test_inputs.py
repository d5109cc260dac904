"""Inputs of every kind reach a training as what they were, or are refused by name in one line."""

from __future__ import annotations

import pytest
from integration_tools import EngineUnderTest, holding
from kernel_tools import Kernel

SETUP = """
import collections, dataclasses, datetime, decimal, enum, pathlib, types
import numpy as np, torch
class Opt(enum.Enum):
    SGD = "sgd"; ADAM = "adam"
class Level(enum.IntEnum):
    LOW = 1; HIGH = 2
@dataclasses.dataclass
class Cfg:
    lr: float = 0.1; layers: tuple = (1, 2)
Point = collections.namedtuple("Point", "x y")
class Odd:
    def __init__(self): self.a = 1
    def __repr__(self): raise RuntimeError("no repr")
    def __eq__(self, other): return self.a == other.a
def got(x): return f"{type(x).__name__} {x!r}"
def lr(lr: float, n: int = 1): return f"{type(lr).__name__} {lr!r} {type(n).__name__} {n!r}"
def back(run): return run.wait().output
"""

UNTYPED = [
    ("np.float64(0.1)", "float 0.1"),
    ("np.float32(0.5)", "float 0.5"),
    ("np.int64(3)", "int 3"),
    ("np.bool_(True)", "bool True"),
    ("torch.tensor(0.5)", "float 0.5"),
    ("np.array(7)", "int 7"),
    ("np.arange(3)", "ndarray array([0, 1, 2])"),
    ("torch.ones(2)", "Tensor tensor([1., 1.])"),
    ("{0: 1.0, 1: 3.0}", "dict {0: 1.0, 1: 3.0}"),
    ("{1: 'a', '1': 'b', None: 'c'}", "dict {1: 'a', '1': 'b', None: 'c'}"),
    ("{(1, 2): [np.float32(1)]}", "dict {(1, 2): [np.float32(1.0)]}"),
    ("(1, 2)", "tuple (1, 2)"),
    ("[(1, 2), {3}]", "list [(1, 2), {3}]"),
    ("{'a': {'b': (1,)}}", "dict {'a': {'b': (1,)}}"),
    ("{1, 2}", "set {1, 2}"),
    ("frozenset({1})", "frozenset frozenset({1})"),
    ("range(3)", "range range(0, 3)"),
    ("Point(1, 2)", "Point Point(x=1, y=2)"),
    ("b'abc\\xff'", "bytes b'abc\\xff'"),
    ("float('nan')", "float nan"),
    ("[float('inf'), 1.5]", "list [inf, 1.5]"),
    ("2 ** 70", "int 1180591620717411303424"),
    ("1j", "complex 1j"),
    ("'caf\\udce9'", "str 'caf\\udce9'"),
    ("datetime.datetime(2026, 1, 1)", "datetime datetime.datetime(2026, 1, 1, 0, 0)"),
    ("datetime.timedelta(minutes=5)", "timedelta datetime.timedelta(seconds=300)"),
    ("decimal.Decimal('0.1')", "Decimal Decimal('0.1')"),
    ("Opt.SGD", "Opt <Opt.SGD: 'sgd'>"),
    ("Level.HIGH", "Level <Level.HIGH: 2>"),
    ("Cfg(0.5)", "Cfg Cfg(lr=0.5, layers=(1, 2))"),
    ("pathlib.Path('/data/x.csv')", "PosixPath PosixPath('/data/x.csv')"),
    ("torch.float16", "dtype torch.float16"),
    ("len", "builtin_function_or_method <built-in function len>"),
    ("None", "NoneType None"),
]


@pytest.fixture(scope="module")
def ready(kernel: Kernel) -> Kernel:
    cell = kernel.run(SETUP)
    assert cell.error is None, cell.traceback
    return kernel


def test_a_value_arrives_as_what_it_was(ready: Kernel) -> None:
    values = ", ".join(value for value, _ in UNTYPED)
    cell = ready.run(f"runs = [jx.train(got, x=x) for x in [{values}]]", timeout_s=120)
    assert cell.error is None, cell.traceback
    cell = ready.run("for run in runs: print(ascii(back(run)))", timeout_s=120)
    assert cell.error is None, cell.traceback
    printed = [eval(line) for line in cell.text.splitlines()]
    # An odd letter of an output becomes U+FFFD, as everywhere.
    wanted = [text.encode("utf-8", "replace").decode() if "\udce9" in text else text for _, text in UNTYPED]
    assert printed == wanted


@pytest.mark.parametrize(
    ("function", "inputs", "output"),
    [
        ("lr", "lr=np.float32(0.5), n=np.int64(3)", "float 0.5 int 3"),
        ("lr", "lr=torch.tensor(0.5)", "float 0.5 int 1"),
        ("lr", "lr=float('inf')", "float inf int 1"),
        ("lr", "lr=decimal.Decimal('0.5')", "float 0.5 int 1"),
        ("def f(x: tuple[float, float] = (0.9, 0.999))", "x=(0.8, 0.9)", "tuple (0.8, 0.9)"),
        ("def f(x: dict[int, float])", "x={0: 1.0, 1: 3.0}", "dict {0: 1.0, 1: 3.0}"),
        ("def f(x: set[int])", "x={1, 2}", "set {1, 2}"),
        ("def f(x: list[tuple[int, str]])", "x=[(1, 'a')]", "list [(1, 'a')]"),
        ("def f(x: Opt = Opt.SGD)", "x=Opt.ADAM", "Opt <Opt.ADAM: 'adam'>"),
        ("def f(x: Opt = Opt.SGD)", "x='adam'", "Opt <Opt.ADAM: 'adam'>"),
        ("def f(x: Opt = Opt.SGD)", "x='ADAM'", "Opt <Opt.ADAM: 'adam'>"),
        ("def f(x: Opt = Opt.SGD)", "", "Opt <Opt.SGD: 'sgd'>"),
        ("def f(x: Cfg = Cfg())", "x={'lr': 0.5}", "Cfg Cfg(lr=0.5, layers=(1, 2))"),
        ("def f(x: datetime.date)", "x=datetime.date(2026, 1, 2)", "date datetime.date(2026, 1, 2)"),
        ("def f(x: datetime.date)", "x='2026-01-02'", "date datetime.date(2026, 1, 2)"),
        ("def f(x: datetime.date | None)", "x='2026-01-02'", "date datetime.date(2026, 1, 2)"),
        ("def f(x: bytes)", "x=b'a\\xff'", "bytes b'a\\xff'"),
        ("def f(x: str)", "x=pathlib.Path('/a')", "str '/a'"),
    ],
)
def test_a_signature_says_what_arrives(ready: Kernel, function: str, inputs: str, output: str) -> None:
    defined = f"{function}: return got(x)\n" if function.startswith("def") else "f = lr\n"
    cell = ready.run(f"{defined}print(ascii(back(jx.train(f, {inputs}))))")
    assert cell.error is None, cell.traceback
    assert eval(cell.text) == output


def test_parameters_named_as_our_options_get_their_values(ready: Kernel) -> None:
    ready.run(
        "def f(name, on='x', destination=None, function=3, args=()): return [name, on, destination, function, args]"
    )
    cell = ready.run("back(jx.train(f, name='n', on='replicate', destination='d', function=4, args=[1]))")
    assert cell.result == "['n', 'replicate', 'd', 4, [1]]", cell.traceback
    assert (
        ready.run("run = jx.train(f, {'name': 'n'}, name='mine'); run.name, back(run)[0]").result
        == "('mine', 'n')"
    )
    assert ready.run("again = run.again(name='m', on='y'); back(again)[:2]").result == "['m', 'y']"


def test_run_again_keeps_what_json_cannot_say_and_changes_the_rest(ready: Kernel) -> None:
    ready.run("def f(x, y=(1,)): return f'{x!r} {y!r}'\nrun = jx.train(f, x={0: Opt.SGD}, y=(2,))")
    assert ready.run("back(run)").result == repr("{0: <Opt.SGD: 'sgd'>} (2,)")
    assert ready.run("back(run.again(y=3))").result == repr("{0: <Opt.SGD: 'sgd'>} 3")


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("jx.train(got, x=(i for i in range(3)))", "input 'x' (generator) cannot travel"),
        ("jx.train(got, x=__import__('threading').Lock())", "input 'x' (lock) cannot travel"),
        ("jx.train(lr, lr=np.arange(3))", "lr="),
        ("jx.train(lr, lr=Odd())", "lr='<Odd>'"),
        ("jx.train(got, x=1).wait().again(x=torch.ones(2))", "x=Tensor float32 [2]"),
    ],
)
def test_what_cannot_be_sent_is_refused_by_name_in_one_line(ready: Kernel, code: str, says: str) -> None:
    cell = ready.run(code)
    assert says in (cell.error or "")
    assert len(cell.traceback.strip().splitlines()) == 1, cell.traceback


@pytest.mark.parametrize(
    "value", ["S(text)", "[S(text)]", "{'a': [S(text)]}", "(1, {'b': S(text)})", "Held(S(text))"]
)
def test_a_secret_that_nothing_declares_is_refused_and_kept_nowhere(
    ready: Kernel, engine: EngineUnderTest, value: str
) -> None:
    text = "open-sesame-4711"
    ready.run(f"from pydantic import SecretStr; S = SecretStr; text = {text!r}")
    ready.run("@dataclasses.dataclass\nclass Held:\n    token: S")
    cell = ready.run(f"jx.train(got, x={value})")
    assert "x holds a secret" in (cell.error or "")
    assert text not in cell.traceback
    assert not holding(text, engine.where.data_dir, engine.where.runtime_dir)
    assert (
        ready.run(
            "def f(x: SecretStr): return len(x.get_secret_value())\nback(jx.train(f, x=S(text)))"
        ).result
        == "16"
    )
    assert not holding(text, engine.where.data_dir, engine.where.runtime_dir)


def test_a_notebook_keeps_the_beginning_of_a_long_input_and_the_training_gets_it_whole(ready: Kernel) -> None:
    cell = ready.run(
        "run = jx.train(lambda x: len(x), x='y' * 3_000_000)\nback(run), len(str(run.resource.input))"
    )
    assert cell.result.startswith("(3000000, ")
    assert int(cell.result.rpartition(" ")[2].rstrip(")")) < 1000
    broken = ready.run("back(jx.train(lambda x: x.a, x=Odd()))")
    assert (broken.error, broken.result) == (None, "1")
