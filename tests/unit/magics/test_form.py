"""A form's controls from signatures, and the lines that start the same."""

from __future__ import annotations

import math
import shlex
import threading
from typing import Any

import ipywidgets
import pytest
from jupyter_ext_widgets.file_upload import FileUpload
from jupyter_ext_widgets.form_controls import NO_VALUE, glob_escaped
from jupyter_ext_widgets.message_order import widgets_below
from jupyter_ext_widgets.path_browser import PathBrowser
from jupyter_ext_widgets.training_form import TrainingForm

from jupyter_ext.errors import InvalidInput
from jupyter_ext.protocol.schema.form_fields import (
    FormField,
    Variable,
    call_line,
    changed,
    fields_of,
    magic_line,
)
from jupyter_ext.protocol.schema.inputs import TrainingInput
from jupyter_ext.protocol.schema.signature import from_source

SIGNATURE = """
def train(
    data: Path,
    epochs: int = Input(5, ge=1, le=50, description="times over the data"),
    lr: float = Input(1e-3, gt=0, le=1),
    weight_decay: float = 1e-4,
    momentum: float = Input(0.9, ge=0, le=1),
    scale: float = Input(1.0, ge=1e-2, le=100),
    optimizer: Literal["adam", "sgd"] = "adam",
    size: int = Input(16, choices=[16, 32]),
    amp: bool = False,
    layers: list[int] = [64, 64],
    note: str = "a b",
    seed: int | None = None,
    rest=compute(),
): ...
"""


def inputs() -> TrainingInput:
    found = from_source(SIGNATURE)
    assert found is not None
    return found


def named() -> dict[str, FormField]:
    return {item.name: item for item in fields_of(inputs())}


def make(**initial: str) -> tuple[TrainingForm, list[dict[str, Any]]]:
    started: list[dict[str, Any]] = []
    form = TrainingForm(
        "digits", inputs(), started.append, lambda values: magic_line("%%train digits", values), initial
    )
    return form, started


def test_each_input_gets_the_control_that_its_type_asks_for() -> None:
    fields = named()
    assert list(fields)[:3] == ["data", "epochs", "lr"], "in the order of the signature"
    kinds = {name: item.kind for name, item in fields.items()}
    assert kinds.pop("data") == "path"
    assert (kinds.pop("optimizer"), kinds.pop("size"), kinds.pop("amp")) == ("choice", "choice", "checkbox")
    assert kinds.pop("layers") == "list"
    assert set(kinds.values()) == {"text"}
    scales = {name: item.slider.scale for name, item in fields.items() if item.slider}
    assert scales == {
        "epochs": "integer",
        "lr": "log",
        "weight_decay": "log",
        "momentum": "linear",
        "scale": "log",
    }
    low, high = fields["lr"].slider.low, fields["lr"].slider.high
    assert (round(low), high) == (-6, 0), "from the default down, as 0 itself is not allowed"
    assert "times over the data" in fields["epochs"].tooltip
    assert "≥ 1, ≤ 50" in fields["epochs"].tooltip
    assert fields["data"].required
    assert (fields["layers"].text, fields["note"].text, fields["rest"].text) == ("64, 64", "a b", "")
    assert not fields["rest"].has_default


def test_only_what_differs_is_in_the_equivalent_line() -> None:
    values = changed(
        fields_of(inputs()),
        {"data": "my data", "lr": 0.001, "epochs": 7, "amp": True, "layers": [64], "note": "it's"},
    )
    assert values == {"data": "my data", "epochs": 7, "amp": True, "layers": [64], "note": "it's"}
    line = magic_line("%%train digits", values)
    words = shlex.split(line)[2:]
    texts = dict(word.split("=", 1) for word in words if word != "-i")
    assert inputs().parse_text(texts) == values, "the line means the same when it is run"
    assert call_line("fit", {"lr": 0.01, "note": "it's"}) == 'jx.train(fit, lr=0.01, note="it\'s")'
    assert call_line("fit", {}) == "jx.train(fit)"
    assert changed(fields_of(inputs()), {"epochs": True}) == {"epochs": True}, "True is not 1"


def test_a_form_checks_as_one_types_and_starts_what_it_says() -> None:
    form, started = make()
    assert form.values is None
    assert "required" in form._errors["data"].value
    assert form._button.disabled
    form.launch()
    assert started == []
    form._controls["data"].value = "here"
    assert form.values == {"data": "here"}
    assert not form._button.disabled
    form._controls["lr"].value = "2"
    assert "less than or equal to 1" in form._errors["lr"].value
    assert form._errors["lr"].layout.display is None
    assert form._button.disabled
    form._controls["lr"].value = "0.01"
    assert form._errors["lr"].layout.display == "none"
    form._controls["layers"].value = "[1, 'x']"
    assert form.values is None
    form._controls["layers"].value = "[32]"
    form._controls["amp"].value = True
    form._controls["seed"].value = "3"
    form.launch()
    assert started == [{"data": "here", "lr": 0.01, "layers": [32], "amp": True, "seed": 3}]
    assert "%%train digits -i data=here -i lr=0.01" in form._line.value


def test_a_slider_writes_into_the_box_and_follows_it() -> None:
    form, _ = make(data="x")
    text, slider, _description = form.box.children[3].children[0].children
    assert text.description == "lr"
    slider.value = 0.01
    assert text.value == "0.01"
    text.value = "0.1"
    assert slider.value == pytest.approx(0.1)
    text.value = "1e-9"
    assert form.values == {"data": "x", "lr": 1e-9}, "a box takes what its slider does not reach"


def test_a_form_begins_with_given_inputs_and_refuses_unknown_ones() -> None:
    form, _ = make(data="x", optimizer="sgd", amp="true", lr="0.1")
    assert form.values == {"data": "x", "optimizer": "sgd", "amp": True, "lr": 0.1}
    with pytest.raises(InvalidInput, match="no input 'lrr'"):
        make(lrr="1")


def test_what_a_launch_raises_is_shown() -> None:
    def refuse(_values: dict[str, Any]) -> None:
        raise InvalidInput("the <engine> is away")

    form = TrainingForm("t", from_source("def train(): ...") or inputs(), refuse, lambda _: "")
    form.launch()
    assert "the &lt;engine&gt; is away" in form._general.value
    assert not form._button.disabled


def test_a_typed_path_is_no_pattern(tmp_path) -> None:
    assert glob_escaped("a[1]*") == "a[[]1][*]"


OTHERS = """
def train(
    token: Secret,
    files: list[Path] = [],
    names: list[str] = ["a", "b, c"],
    sizes: list[int] = [1, 2],
    parts: list[Literal["x", "y", "z"]] = ["x"],
    mode: Optional[Literal["fast", "slow"]] = "fast",
    amp: bool | None = None,
    shuffle: bool = Input(description="each epoch"),
    limit: int | None = 5,
    weights: Path = None,
): ...
"""


def others(**initial: str) -> tuple[TrainingForm, list[dict[str, Any]]]:
    started: list[dict[str, Any]] = []
    found = from_source(OTHERS)
    assert found is not None
    form = TrainingForm(
        "t",
        found,
        started.append,
        lambda values: magic_line("%%train t", values),
        initial,
        lambda name, _: name,
    )
    return form, started


def test_lists_and_optional_values_are_typed_as_people_write_them() -> None:
    form, _ = others(token="sesame", shuffle="true")
    kinds = {item.name: item.kind for item in form._fields}
    assert kinds == {
        "token": "secret",
        "files": "paths",
        "names": "list",
        "sizes": "list",
        "parts": "choices",
        "mode": "choice",
        "amp": "choice",
        "shuffle": "choice",
        "limit": "text",
        "weights": "path",
    }
    assert form.values == {"token": "sesame", "shuffle": True}, "nothing differs from its default"
    controls = form._controls
    assert controls["names"].value == '["a", "b, c"]', "as a literal where commas would mean something else"
    controls["names"].value = "1, two"
    controls["sizes"].value = "3, 4,"
    controls["files"].value = "a.csv, 2024"
    controls["parts"].value = ("y", "z")
    controls["mode"].value = NO_VALUE
    controls["amp"].value = False
    controls["limit"].value = ""
    assert form.values == {
        "token": "sesame",
        "shuffle": True,
        "names": ["1", "two"],
        "sizes": [3, 4],
        "files": ["a.csv", "2024"],
        "parts": ["y", "z"],
        "mode": None,
        "amp": False,
        "limit": None,
    }
    controls["sizes"].value = "3, x"
    assert "sizes" in form._errors["sizes"].value
    assert form.values is None


def test_a_secret_is_in_no_state_and_in_no_line() -> None:
    form, started = others(shuffle="false")
    assert "required" in form._errors["token"].value
    box = form._controls["token"]
    box._take(box, {"kind": "secret", "text": "sesame"}, [])
    form.launch()
    assert started == [{"token": "sesame", "shuffle": False}]
    assert "-i token={token}" in form._line.value
    written = [repr(widget.get_state()) for widget in _all(form.box)] + [repr(box)]
    assert "sesame" not in "".join(written), "a notebook that keeps the widgets' state keeps no secret"
    assert call_line("fit", {"lr": 1, "token": Variable("token")}) == "jx.train(fit, lr=1, token=token)"


def _all(widget: Any) -> list[Any]:
    return [widget, *(inner for child in getattr(widget, "children", ()) for inner in _all(child))]


def test_an_uploaded_file_comes_in_pieces_and_becomes_the_input() -> None:
    kept: list[tuple[str, bytes]] = []
    answers: list[dict[str, Any]] = []

    def keep(name: str, file: Any) -> None:
        kept.append((name, file.read()))
        if name == "bad":
            raise OSError("the disk is full")

    upload = FileUpload(keep)
    upload.send = lambda content, buffers=None: answers.append(content)
    for key in ("good", "bad"):
        upload._take(upload, {"kind": "begin", "key": key, "name": key, "id": "1"}, [])
        upload._take(upload, {"kind": "piece", "key": key, "id": "2"}, [memoryview(b"ab")])
        upload._take(upload, {"kind": "piece", "key": key, "id": "3"}, [memoryview(b"c")])
        upload._take(upload, {"kind": "end", "key": key, "id": "4"}, [])
    assert kept == [("good", b"abc"), ("bad", b"abc")]
    assert [answer["error"] for answer in answers] == [None] * 7 + ["the disk is full"]
    assert upload._coming == {}


def test_the_browser_gives_a_path_from_the_working_directory(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.csv").write_text("")
    (tmp_path / ".hidden").write_text("")
    taken: list[str] = []
    browser = PathBrowser(taken.append, "data")
    browser.button.value = True
    assert browser._list.options == ("..", "data/")
    browser._open()
    assert browser._list.options == ("..", "train.csv")
    browser._open()
    assert taken == ["data/train.csv"]
    assert not browser.button.value
    browser.button.value = True
    browser._use()
    assert taken[1:] == ["data"], "a folder too"


def hear(form: TrainingForm, name: str, **state: object) -> None:
    """Have a control hear what a page sends when somebody changes it."""
    message = {"content": {"data": {"method": "update", "state": state}}, "buffers": []}
    form._controls[name].comm.handle_msg(message)


def test_of_two_changes_on_two_threads_of_the_kernel_neither_is_lost() -> None:
    second: list[threading.Thread] = []

    def line(values: dict[str, object]) -> str:
        if values.get("note") == "first" and not second:  # the other change comes in the middle of this check
            second.append(threading.Thread(target=hear, args=(form, "optimizer"), kwargs={"index": 1}))
            second[0].start()
            second[0].join(0.3)  # it ends only where the two are not kept apart
        return magic_line("%%train digits", values)

    form = TrainingForm("digits", inputs(), lambda _: None, line, {"data": "here"})
    hear(form, "note", value="first")
    second[0].join()
    assert form.values == {"data": "here", "note": "first", "optimizer": "sgd"}
    assert "-i optimizer=sgd" in form._line.value


def test_a_slider_that_comes_to_stand_on_a_mark_leaves_what_was_typed() -> None:
    form, _started = make(data="here")
    [slider] = [each for each in widgets_below(form.box) if isinstance(each, ipywidgets.FloatLogSlider)][:1]
    step = named()["lr"].slider.step
    assert step == pytest.approx(0.05)
    for typed in ("0.025", "0.03", "0.0007", "1"):
        form._controls["lr"].value = typed
        mark = round(math.log10(float(typed)) / step) * step
        slider.set_state({"value": 10**mark})
        assert form._controls["lr"].value == typed
    slider.set_state({"value": 10 ** (mark - 2 * step)})
    assert form._controls["lr"].value == "0.794", "it was moved"
    form._controls["lr"].value = "abc"
    slider.set_state({"value": 0.1})
    assert form._controls["lr"].value == "0.1", "whatever stood there"


def test_the_kernel_hears_a_form_on_the_thread_that_the_page_asks_for() -> None:
    form, _started = make()
    heard_by = [form._controls["optimizer"], form._controls["amp"], form._controls["data"], form._button]
    for widget in heard_by:
        assert widget.comm._reply_subshell_for({"method": "update"}, "of widgets") == "of widgets"
