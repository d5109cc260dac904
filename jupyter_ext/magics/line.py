r"""A magic's line in words, with the notebook's values in them.

Rule: what a person wrote arrives as it was written. Only `{expression}` and `$name` whose names are there are
replaced, after the line was split, so that a value with spaces stays one word; `$5`, `C:\data`, `\d{4}` and `{"a": 1}`
stay as they are.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Mapping

from jupyter_ext.errors import InvalidInput
from jupyter_ext.protocol.schema.literals import UNKNOWN, literal_of

_OPENING, _CLOSING = "([{", ")]}"
_DOLLAR = re.compile(r"\$(?:\$|([^\W\d]\w*)(?:\.[^\W\d]\w*)*)")
_ESCAPED_OUTSIDE = frozenset("'\"${ \t")
_ESCAPED_IN_QUOTES = frozenset('"\\${')


def split_words(line: str, namespace: Mapping[str, object] | None = None) -> list[str]:
    """Split a line as a shell does, but keep backslashes that escape nothing.

    Args:
        line: Of a magic. In single quotes nothing is replaced; in double quotes values of the notebook are.
        namespace: The notebook's names; without it nothing is replaced.

    Raises:
        ValueError: A quote is not closed.
        InvalidInput: An expression raises.
    """
    words: list[str] = []
    word: str | None = None
    position = 0
    while position < len(line):
        if line[position].isspace():
            words += [] if word is None else [word]
            word, position = None, position + 1
            continue
        text, position = _piece(line, position, namespace)
        word = (word or "") + text
    return words if word is None else [*words, word]


def _piece(line: str, start: int, namespace: Mapping[str, object] | None) -> tuple[str, int]:
    """Return the text of a quoted part or of what begins outside of quotes, and where it ends."""
    letter = line[start]
    if letter == "'":
        end = line.find("'", start + 1)
        if end < 0:
            raise ValueError("No closing quotation")
        return line[start + 1 : end], end + 1
    if letter != '"':
        return _letter(line, start, namespace, _ESCAPED_OUTSIDE)
    text, position = "", start + 1
    while position < len(line) and line[position] != '"':
        more, position = _letter(line, position, namespace, _ESCAPED_IN_QUOTES)
        text += more
    if position == len(line):
        raise ValueError("No closing quotation")
    return text, position + 1


def _letter(
    line: str, start: int, namespace: Mapping[str, object] | None, escaped: frozenset[str]
) -> tuple[str, int]:
    """Return the text of one letter, one escape or one value of the notebook, and where it ends."""
    letter = line[start]
    if letter == "\\" and line[start + 1 : start + 2] in escaped and start + 1 < len(line):
        return line[start + 1], start + 2
    if letter == "$" and namespace is not None and (found := _DOLLAR.match(line, start)) is not None:
        return _value_of_name(found, namespace), found.end()
    if letter == "{":
        try:
            end = _unit_end(line, start)
        except ValueError:
            return letter, start + 1
        group = line[start:end]
        return group if namespace is None else _value_of_group(group, namespace), end
    return letter, start + 1


def _value_of_name(found: re.Match[str], namespace: Mapping[str, object]) -> str:
    if found[0] == "$$":
        return "$"
    return _evaluated(found[0][1:], namespace, found[0]) if found[1] in namespace else found[0]


def _value_of_group(group: str, namespace: Mapping[str, object]) -> str:
    """Return the value of `{expression}` or `{expression:format}`; braces that are no such thing stay."""
    expression = group
    try:
        tree = ast.parse(group, mode="eval").body
        if isinstance(tree, ast.Set) and len(tree.elts) == 1:
            tree, expression = tree.elts[0], group[1:-1].strip()
        is_format = isinstance(tree, ast.Dict) and not all(isinstance(key, ast.Constant) for key in tree.keys)
    except SyntaxError:
        is_format = True  # such as {lr:.3f}
    if is_format:
        expression = f"f'''{group}'''"
        try:
            tree = ast.parse(expression, mode="eval").body
        except SyntaxError:
            return group
    return _evaluated(expression, namespace, group) if _is_computed(tree, namespace) else group


def _is_computed(tree: ast.expr, namespace: Mapping[str, object]) -> bool:
    """Return whether an expression is to be evaluated: it is no literal, and all its names are there."""
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    bound = {node.id for node in names if isinstance(node.ctx, ast.Store)}
    read = {node.id for node in names} - bound
    if not read:
        return literal_of(tree) is UNKNOWN and not isinstance(tree, ast.JoinedStr)
    if isinstance(tree, ast.Name | ast.JoinedStr):
        return read <= namespace.keys()  # {id} in a file's pattern is no function of Python's
    return all(name in namespace or hasattr(builtins, name) for name in read)


def _evaluated(expression: str, namespace: Mapping[str, object], written: str) -> str:
    try:
        return str(eval(compile(expression, "<expression>", "eval", dont_inherit=True), dict(namespace)))
    except Exception as error:  # noqa: BLE001  the user's expression may raise anything
        raise _refusal(written, error) from None


def _refusal(written: str, error: Exception) -> InvalidInput:
    return InvalidInput(f"{written}: {type(error).__name__}: {' '.join(str(error).split())[:200]}.")


def split_expressions(line: str) -> list[str]:
    """Split a line at its spaces, but for those within quotes or brackets: `-p x=f("a b", y[0, 1])` is two words.

    Raises:
        ValueError: A quote or a bracket is not closed.
    """
    words, word, position = [], "", 0
    while position < len(line):
        end = _unit_end(line, position)
        if line[position].isspace():
            words += [word] if word else []
            word = ""
        else:
            word += line[position:end]
        position = end
    words += [word] if word else []
    return [one[1:-1] if len(one) > 1 and one[0] == one[-1] and one[0] in "'\"" else one for one in words]


def _unit_end(line: str, start: int) -> int:
    """Return where the string or the bracket that begins here ends, or else the next letter.

    Raises:
        ValueError: It is not closed.
    """
    letter = line[start]
    if letter in "'\"":
        found = re.compile(rf"{letter}(?:\\.|[^{letter}\\])*{letter}").match(line, start)
        if found is None:
            raise ValueError("No closing quotation")
        return found.end()
    if letter not in _OPENING:
        return start + 1
    position = start + 1
    while position < len(line) and line[position] not in _CLOSING:
        position = _unit_end(line, position)
    if position >= len(line):
        raise ValueError("No closing bracket")
    return position + 1
