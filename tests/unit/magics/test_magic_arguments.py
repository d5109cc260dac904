"""A magic's line: understood, or refused in one line."""

from __future__ import annotations

import pytest

from jupyter_ext.errors import InvalidInput
from jupyter_ext.magics.arguments import HelpShown, parse_inputs
from jupyter_ext.magics.line import split_expressions, split_words
from jupyter_ext.magics.training import _train_parser, _training_parser, _trainings_parser


def test_a_whole_line() -> None:
    parsed = _train_parser("%%train").parse("digits -i epochs=5 -i 'name=a b' --wait --as run")
    assert (parsed.name, parsed.input, parsed.wait, parsed.variable) == (
        "digits",
        ["epochs=5", "name=a b"],
        True,
        "run",
    )


@pytest.mark.parametrize(
    ("parser", "line", "says"),
    [
        (_train_parser("%%train"), "digits --lr 3", "%%train: unrecognized arguments: --lr 3"),
        (_train_parser("%%train"), "digits 'open", "no closing quotation"),
        (_train_parser("%train"), "", "%train: the following arguments are required: name"),
        (_training_parser(), "abc fly", "invalid choice: 'fly'"),
        (_training_parser(), "abc logs --tail many", "invalid int value: 'many'"),
        (_trainings_parser(), "--status done", "invalid choice: 'done'"),
    ],
)
def test_a_wrong_line_is_refused_in_one_line(parser: object, line: str, says: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parser.parse(line)  # type: ignore[attr-defined]
    assert says in str(caught.value)
    assert "--help` shows what it takes" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_help_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(HelpShown):
        _train_parser("%%train").parse("--help")
    printed = capsys.readouterr().out
    assert "%%train digits -i epochs=5" in printed
    assert "--wait" in printed


@pytest.mark.parametrize("pair", ["lr", "1x=3", "=3", "a b=3"])
def test_an_input_must_be_a_pair(pair: str) -> None:
    with pytest.raises(InvalidInput, match="not of the form name=value"):
        parse_inputs([pair], "%%train")


def test_an_input_may_hold_an_equals_sign_but_not_come_twice() -> None:
    assert parse_inputs(["a=b=c"], "%%train") == {"a": "b=c"}
    with pytest.raises(InvalidInput, match="given twice"):
        parse_inputs(["a=1", "a=2"], "%%train")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("net.fit -p x=a -p y=b", ["net.fit", "-p", "x=a", "-p", "y=b"]),
        ("n.f -p x='a b' -p y=z[0, 1]", ["n.f", "-p", "x='a b'", "-p", "y=z[0, 1]"]),
        ('n.f -p "x=y[:, 0]"', ["n.f", "-p", "x=y[:, 0]"]),
        (r"n.f -p x='it\'s (one'", ["n.f", "-p", r"x='it\'s (one'"]),
        ("", []),
    ],
)
def test_expressions_are_split_at_spaces_outside_of_quotes_and_brackets(line: str, words: list[str]) -> None:
    assert split_expressions(line) == words


@pytest.mark.parametrize("line", ["n.f -p x='a", "n.f -p x=f(1, 2"])
def test_an_open_quote_or_bracket_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="No closing"):
        split_expressions(line)


NAMES = {"lr": 1e-3, "text": "two words", "price": 7, "cfg": {"lr": 0.5}, "items": [1, 2], "folder": "a b"}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("a  'b c' \"d e\" f'g'h", ["a", "b c", "d e", "fgh"]),
        ("-i y=''", ["-i", "y="]),
        ('-i y="costs $5"', ["-i", "y=costs $5"]),
        ("-i y='costs $price'", ["-i", "y=costs $price"]),
        ('-i y="costs $price."', ["-i", "y=costs 7."]),
        ("$$5 $unknown $unknown.x {unknown}", ["$5", "$unknown", "$unknown.x", "{unknown}"]),
        (r"-i d=C:\data\new", ["-i", r"d=C:\data\new"]),
        (r'-i d="C:\data\new" \"', ["-i", r"d=C:\data\new", '"']),
        (r"a\ b \{lr} \$lr", ["a b", "{lr}", "$lr"]),
        (r"-i re=\d{4}-\w+", ["-i", r"re=\d{4}-\w+"]),
        ("-i g=*.{png,jpg}", ["-i", "g=*.{png,jpg}"]),
        ('-i w={"a": 1, "b c": [2]}', ["-i", 'w={"a": 1, "b c": [2]}']),
        ("-i w={'a': lr}", ["-i", "w={'a': 0.001}"]),
        ("-i s={1,2} {}", ["-i", "s={1,2}", "{}"]),
        ("-i y={text} -i z=$text", ["-i", "y=two words", "-i", "z=two words"]),
        (
            "-i y={cfg['lr']} {lr:.1e} {lr * 2} {items[0]} {len(items)}",
            ["-i", "y=0.5", "1.0e-03", "0.002", "1", "2"],
        ),
        ("{folder}/x.py an{open", ["a b/x.py", "an{open"]),
        ("{0.5 * 2} {2**5} {list(range(3))} {[i for i in items]}", ["1.0", "32", "[0, 1, 2]", "[1, 2]"]),
        ("img_{id}.png {4} {'a'} {-1} {x + lr}", ["img_{id}.png", "{4}", "{'a'}", "{-1}", "{x + lr}"]),
    ],
)
def test_words_arrive_as_they_were_written_and_only_names_of_the_notebook_are_replaced(
    line: str, words: list[str]
) -> None:
    assert split_words(line, NAMES) == words


@pytest.mark.parametrize("line", ["{cfg['lrr']}", "$lr.missing", "{lr / 0}", "{1/0}", "{price:.3q}"])
def test_an_expression_that_raises_is_refused_and_named(line: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        split_words(line, NAMES)
    assert str(refused.value).startswith(f"{line}: ")
    assert "\n" not in str(refused.value)


def test_without_names_of_a_notebook_nothing_is_replaced() -> None:
    assert split_words("{lr} $lr {1 + 1}") == ["{lr}", "$lr", "{1 + 1}"]


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("digits --epochs 3", "-i epochs=3"),
        ("digits --learning-rate=1e-3", "-i learning_rate=1e-3"),
        ("digits epochs=3", "-i epochs=3"),
        ("digits --fast", "-i fast=value"),
        ("digits -i epochs = 3", "-i name=value"),
    ],
)
def test_what_may_be_an_input_is_told_how_to_be_one(line: str, hint: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        _train_parser("%%train").parse(line)
    assert hint in str(caught.value)
    with pytest.raises(InvalidInput) as caught:
        _trainings_parser().parse("--fast")
    assert "-i " not in str(caught.value)


def test_an_expression_that_raises_is_told_as_python_says_it() -> None:
    with pytest.raises(InvalidInput) as caught:
        _train_parser("%%train").parse("digits -i lr={1/0}", {})
    assert str(caught.value) == "%%train: {1/0}: ZeroDivisionError: division by zero."
