"""Code as it travels: bundles of texts, files and folders, made without running any of it and without a kernel.

Rule: what needs a notebook's living names is in `client.capture`; here is what a text says by itself.
"""
