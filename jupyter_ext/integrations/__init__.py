"""Code that was written for other tools reports here without being rewritten.

Rule: each module imports its own library and nothing else of ours than what a worker has; none is imported unless asked for.
"""
