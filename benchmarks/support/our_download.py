"""`python -m benchmarks.support.our_download HOME REPO`: download a model, and print the seconds that it took."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

from jupyter_ext.engine.models.download.manager import Downloads
from jupyter_ext.engine.models.sources.hub_settings import HubSettings


async def main(home: Path, repo: str) -> None:
    """Download it."""
    downloads = Downloads(home / "local_models")
    manifest = await downloads.resolve(f"hub:{repo}", settings=HubSettings.from_environment())
    began = time.perf_counter()
    await downloads.start(manifest).wait()
    print(json.dumps({"seconds": time.perf_counter() - began}))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
