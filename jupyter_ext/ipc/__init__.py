"""What both ends of a local connection share: files, frames, values and channels between processes.

Rule: standard library only. The engine puts these modules into interpreters that have none of our dependencies.
"""
