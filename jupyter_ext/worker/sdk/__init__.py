"""What training code calls: `log`, `progress`, `checkpoint`, `Input`. Standard library only."""
