"""What the process that trainings are forked from has ready, and what its children do not pay for."""

from __future__ import annotations

import json
import subprocess
import sys

CODE = """
import json, os, socket, sys, tempfile, weakref
from jupyter_ext.worker import zygote
import numpy

class Thing: ...
theirs, ours = tempfile.mkstemp()[1], Thing()
weakref.finalize(ours, open(theirs, "a").write, "imported")
channel = socket.socketpair()
requests = zygote._Requests(channel[0])
zygote._import_all([], requests)
requests.prepare_to_fork()
pid = os.fork()
if pid == 0:
    weakref.finalize(ours, os.write, os.open(theirs, os.O_WRONLY), b"the user's")
    import atexit
    atexit._run_exitfuncs()
    os._exit(0)
os.waitpid(pid, 0)
ready = [name in sys.modules for name in (zygote._TRAINING_MODULE, "numpy.random")]
print(json.dumps({"ended": open(theirs).read(), "ready": ready}))
os._exit(0)
"""


def test_children_end_what_is_theirs_alone_and_import_nothing_of_ours() -> None:
    told = json.loads(
        subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True).stdout
    )
    assert told == {"ended": "the user's", "ready": [True, True]}
