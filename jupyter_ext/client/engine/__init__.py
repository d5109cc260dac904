"""The engine as a notebook sees it."""
