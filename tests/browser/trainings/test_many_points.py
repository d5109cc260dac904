"""A hundred thousand points in one go: nothing is lost, what matters is drawn, and zooming shows each of them."""

from __future__ import annotations

from integration_tools import until
from playwright.sync_api import expect

POINTS, SPIKE_AT = 100_000, 63_211
BURST = f"""\
%%train burst
from jupyter_ext import log

def train():
    for step in range({POINTS}):
        log(loss=50.0 if step == {SPIKE_AT} else 1 / (1 + step / 1000) + (step % 7) / 100, step=step)"""

DRAG = """ends => {
    const plot = document.querySelector('.jx-plot').jupyterExtPlot;
    return ends.map(step => plot.pagePosition(step));
}"""


def drag(lab, from_step: float, to_step: float) -> None:
    """Zoom into a range with the mouse."""
    (x0, y0), (x1, y1) = lab.page.evaluate(DRAG, [from_step, to_step])
    mouse = lab.page.mouse
    mouse.move(x0, y0)
    mouse.down()
    mouse.move(x1, y1, steps=4)
    mouse.up()


def seen(panel) -> list[float]:
    """Return the drawn steps within what is seen of the plot."""
    low, high = panel.root.evaluate("root => root.querySelector('.jx-plot').jupyterExtPlot.xRange")
    return [step for step in panel.curves()["loss/loss"].x if low <= step <= high]


def test_a_burst_of_100_000_points(lab, lab_server, engine) -> None:
    lab.open(lab_server.write_notebook("burst", "%load_ext jupyter_ext", BURST, "1 + 1"))
    lab.run_cell(0)
    lab.run_cell(1)
    panel = lab.panel(1)
    panel.root.scroll_into_view_if_needed()
    panel.wait_status("succeeded")
    until(lambda: panel.curves()["loss/loss"].x[-1] == POINTS - 1, "the last point")
    curve = panel.curves()["loss/loss"]
    assert curve.x[0] == 0
    assert 400 <= len(curve.x) <= 1602
    assert curve.x == sorted(set(curve.x))
    assert curve.y[curve.x.index(SPIKE_AT)] == max(curve.y) == 50.0
    expect(lab.run_cell(2)).to_have_text("2")
    panel.root.scroll_into_view_if_needed()
    lab.screenshot("burst", panel.root)

    drag(lab, SPIKE_AT - 4000, SPIKE_AT + 4000)
    expect(panel.part(".jx-reset")).to_be_visible()
    until(lambda: len(seen(panel)) > 500, "more points of the zoomed range")
    lab.screenshot("burst-zoomed", panel.root)
    drag(lab, SPIKE_AT - 300, SPIKE_AT + 300)
    until(
        lambda: 100 < len(exact := seen(panel)) < 1500 and exact[-1] - exact[0] == len(exact) - 1,
        "each point",
    )
    assert SPIKE_AT in seen(panel)
    lab.screenshot("burst-exact", panel.root)

    panel.part(".jx-reset").click()
    until(lambda: seen(panel) == curve.x, "the whole run as before")
    count = {s["key"]: s["count"] for s in engine.series(panel.training_id())}
    assert count["loss"] == POINTS
    assert lab.errors == []
