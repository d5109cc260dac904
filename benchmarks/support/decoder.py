"""The module of the models' benchmark, in a file of its own so that its process imports nothing else."""

from __future__ import annotations

import torch

from benchmarks.support.scale import scaled

WIDTH = 2048
LAYERS = scaled(168, 2)


class Decoder(torch.nn.Module):
    """A stack of linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleList(torch.nn.Linear(WIDTH, WIDTH) for _ in range(LAYERS))

    def forward(self, x: torch.Tensor, through: bool = True) -> torch.Tensor:
        """Compute, or give back what came."""
        for layer in self.layers if through else ():
            x = layer(x)
        return x
