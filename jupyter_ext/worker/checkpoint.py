"""The old path of a module; see `started_before`."""

from jupyter_ext.worker import started_before

started_before.replace(__name__)
