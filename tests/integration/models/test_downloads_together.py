"""The rate that all downloads share and the files that cut ones leave: engine, client and magic in a real kernel."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest
from download_tools import MIB, DownloadHome, write_model
from hub_server import HubServer
from integration_tools import EngineUnderTest, until
from kernel_tools import Kernel

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

SIZE = 24 * MIB
LIMIT = 4e6


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DownloadHome]:
    with HubServer() as hub:
        home = DownloadHome(tmp_path_factory.mktemp("downloads"), hub)
        hub.publish("acme/tiny", write_model(home.path / "source", SIZE))
        yield home


@pytest.fixture(scope="module")
def kernel(engine: EngineUnderTest, home: DownloadHome) -> Iterator[Kernel]:
    kernel = Kernel(engine)
    kernel.run("import jupyter_ext as jx, os\n%load_ext jupyter_ext")
    for name in ("HF_ENDPOINT", "HF_HOME"):
        kernel.run(f"os.environ[{name!r}] = {home.environ[name]!r}")
    yield kernel
    kernel.close()


def test_a_limit_holds_and_a_cut_download_can_be_listed_and_removed(
    kernel: Kernel, home: DownloadHome
) -> None:
    assert kernel.run("jx.models.download_limit is None").result == "True"
    assert kernel.run("%models --limit 4MB\njx.models.download_limit").result == str(LIMIT)
    began = time.monotonic()
    assert kernel.run("%model acme/tiny download").error is None
    until(lambda: "model.safetensors" in kernel.run("%models --partials").result, "a partial file", 60)
    row = until(
        lambda: (
            re.search(
                r"[\d.]+ [KM]iB of 2[345](?:\.\d)? MiB", text := kernel.run("%models --partials").result
            )
            and text
        ),
        "bytes",
        60,
    )
    assert "hub:acme/tiny model.safetensors" in row
    assert "on its way" in row
    assert home.hub.sent_of("model.safetensors") < SIZE, "the limit was not kept"
    refused = kernel.run("jx.models.partials()[0].remove()")
    assert refused.error is not None
    assert "cancel that first" in refused.error
    assert "partial" in kernel.run("%model acme/tiny cancel").result
    until(
        lambda: "on its way" not in kernel.run("jx.models.partials()").result, "the end of the download", 60
    )
    kept = float(kernel.run("jx.models.partials()[0].info.kept_bytes").result)
    assert kept <= (time.monotonic() - began) * LIMIT + 8 * MIB
    assert kernel.run("jx.models.partials()[0].remove()").error is None
    assert kernel.run("jx.models.partials()").result == "[]"
    assert home.left_over() == []
    kernel.run("jx.models.download_limit = None")
    kernel.run("%model acme/tiny download --wait")
    assert kernel.run("jx.models.get('acme/tiny').state").result == "'downloaded'"


def test_the_limit_outlives_the_engine(kernel: Kernel, engine: EngineUnderTest) -> None:
    kernel.run("jx.models.download_limit = '1.5 GB/s'")
    engine.close()
    try:
        assert kernel.run("jx.models.download_limit").result == "1500000000.0"
    finally:
        assert kernel.run("%models --limit off\njx.models.download_limit is None").result == "True"


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("%models --limit fast", "'fast' is no rate"),
        ("%models --limit 0", "at least 1024"),
        ("jx.models.download_limit = True", "True is no rate"),
        ("jx.models.download_limit = -5", "'-5' is no rate"),
    ],
)
def test_a_mistake_gets_one_line(kernel: Kernel, code: str, says: str) -> None:
    cell = kernel.run(code)
    assert cell.error is not None
    assert says.replace("'", "") in cell.error.replace("'", "")
    assert len(cell.traceback.strip().splitlines()) == 1, cell.traceback
