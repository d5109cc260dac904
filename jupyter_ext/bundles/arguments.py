"""A script's own arguments, as after `--`: those of options that it declares become inputs, the rest is passed on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jupyter_ext.protocol.schema.inputs import TrainingInput
from jupyter_ext.protocol.schema.options import Option, ScriptOptions


def split_arguments(
    words: Sequence[str], options: ScriptOptions | None, training_input: TrainingInput | None
) -> tuple[dict[str, Any], list[str]]:
    """Split a command line into inputs and what else there is.

    Args:
        words: The command line.
        options: What the script declares.
        training_input: Its inputs, which say of what type they are.

    Returns:
        Inputs by name, and the words that belong to none.
    """
    if options is None or training_input is None:
        return {}, list(words)
    flags = {flag: option for option in options.options for flag in (*option.flags, option.off) if flag}
    places = [option for option in options.options if option.form == "positional"]
    texts: dict[str, Any] = {}
    rest: list[str] = []
    waiting = [str(word) for word in words]
    while waiting:
        word = waiting.pop(0)
        flag, equals, text = word.partition("=")
        option = flags.get(flag)
        if option is None:
            if word.startswith("-") or not places or rest:
                rest.append(word)
            else:
                _take_place(places, word, texts)
        elif equals:
            texts[option.name] = [text] if option.form in ("list", "repeated") else text
        elif not _take(option, word, waiting, texts):
            rest.append(word)
    return _typed(texts, training_input), rest


def _take(option: Option, word: str, waiting: list[str], texts: dict[str, Any]) -> bool:
    """Take what belongs to an option from the words that follow it; return whether there was something to take."""
    match option.form:
        case "flag":
            texts[option.name] = True
        case "no-flag":
            texts[option.name] = False
        case "on-off":
            texts[option.name] = word != option.off
        case "count":
            texts[option.name] = texts.get(option.name, 0) + 1
        case "list":
            taken = []
            while waiting and not (waiting[0].startswith("-") and not _is_number(waiting[0])):
                taken.append(waiting.pop(0))
            texts[option.name] = taken
        case _:
            if not waiting:
                return False
            text = waiting.pop(0)
            texts[option.name] = [*texts.get(option.name, []), text] if option.form == "repeated" else text
    return True


def _take_place(places: list[Option], word: str, texts: dict[str, Any]) -> None:
    option = places[0]
    if ": list" in option.parameter:
        texts[option.name] = [*texts.get(option.name, []), word]
    else:
        texts[places.pop(0).name] = word


def _typed(texts: dict[str, Any], training_input: TrainingInput) -> dict[str, Any]:
    plain = {name: text for name, text in texts.items() if isinstance(text, str)}
    return {**texts, **training_input.parse_text(plain)}


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
