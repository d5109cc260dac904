"""Every decoder takes any bytes: it raises what its docstring says, or nothing. `make fuzz` feeds millions, guided by coverage."""

from __future__ import annotations

import pytest

from tests.fuzz.decoders import DECODERS
from tests.fuzz.mutate import inputs

NUM_INPUTS = 1500


@pytest.mark.filterwarnings("ignore:Unclosed file:ResourceWarning")  # Starlette's, of a part that is cut off
@pytest.mark.parametrize("name", DECODERS)
def test_a_decoder_raises_only_what_it_says(name: str) -> None:
    decoder = DECODERS[name]
    for data in decoder.seeds:
        decoder.decode(data)  # as it is taken
    for data in inputs(decoder.seeds, NUM_INPUTS, seed=len(name)):
        try:
            decoder.decode(data)
        except decoder.errors:
            continue
        except Exception as error:  # noqa: BLE001  that is what is looked for
            pytest.fail(f"{name} raised {error!r} for {data[:400]!r} ({len(data)} bytes)")
