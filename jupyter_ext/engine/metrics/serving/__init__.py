"""One run as its viewers get it, live and sealed alike: numbered, published, replayed, ranged."""
