"""Weights on disk and the modules they become: parse, map, build, load, notice changes.

Rule: standard library and torch only; used by the downloader, the model host and the notebook's kernel alike.
"""
