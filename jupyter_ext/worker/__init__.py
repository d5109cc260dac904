"""What runs in the user's own environment: zygote, shim, runner, reporter.

Rule: standard library only. The engine puts these modules into interpreters that have none of our dependencies.
"""
