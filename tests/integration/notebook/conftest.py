"""One real kernel for a module's tests, with the extension loaded."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from integration_tools import EngineUnderTest
from kernel_tools import Kernel


@pytest.fixture(scope="module")
def kernel(engine: EngineUnderTest) -> Iterator[Kernel]:
    """Start a kernel, load the extension and import it as `jx`."""
    kernel = Kernel(engine)
    loaded = kernel.run("%load_ext jupyter_ext\nimport jupyter_ext as jx")
    assert (loaded.error, loaded.text) == (None, "")
    yield kernel
    kernel.close()
