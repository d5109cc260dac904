"""What a plain process honours at its start, a worker honours too: applied late, or by a fresh process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from jupyter_ext.ipc.cores import allowed_cores, quota_cores, usable_cores, within
from jupyter_ext.ipc.start_environment import SETTINGS_VARIABLE, read_at_start, waiting_defaults, why_fresh

PLAIN = {"PATH": "/bin", "HOME": "/root"}


@pytest.mark.parametrize(
    ("name", "value"),
    [("PYTHONHASHSEED", "0"), ("PYTHONOPTIMIZE", "1"), ("OMP_PROC_BIND", "true"), ("OMP_WAIT_POLICY", "active"),
     ("MKL_CBWR", "COMPATIBLE"), ("OPENBLAS_NUM_THREADS", "1"), ("LD_PRELOAD", "x.so"), ("TORCH_LOGS", "+dynamo"),
     ("PYTORCH_JIT", "0"), ("MALLOC_ARENA_MAX", "2"), ("KMP_AFFINITY", "compact"), ("GOMP_SPINCOUNT", "0")],
)  # fmt: skip
def test_what_is_read_only_at_the_start_asks_for_a_fresh_process(name: str, value: str) -> None:
    warm = PLAIN | waiting_defaults(PLAIN)
    missed = read_at_start(PLAIN | {name: value}, warm)
    assert [name] in missed.values()
    assert name in why_fresh(missed)
    assert [name] in read_at_start(PLAIN, {**PLAIN, name: value}).values(), "what was taken away counts too"
    assert read_at_start(PLAIN | {name: value}, PLAIN | {name: value}) == {}


@pytest.mark.parametrize(
    "changed",
    [{}, {"PATH": "/usr/bin"}, {"CUDA_VISIBLE_DEVICES": "0"}, {"TZ": "Asia/Tokyo"}, {"PYTHONWARNINGS": "ignore"},
     {"PYTHONPATH": "/x"}, {"KMP_INIT_AT_FORK": "FALSE"}, {"HF_HOME": "/x"}, {"TOKENIZERS_PARALLELISM": "false"},
     {SETTINGS_VARIABLE: "{}"}],
)  # fmt: skip
def test_all_else_starts_warm(changed: Mapping[str, str]) -> None:
    assert read_at_start(PLAIN | changed, PLAIN | waiting_defaults(PLAIN)) == {}


@pytest.mark.parametrize("name", ["OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"])
def test_whoever_has_chosen_how_threads_wait_is_left_alone(name: str) -> None:
    assert waiting_defaults({name: "1"}) == {}
    assert set(waiting_defaults(PLAIN)) == {"GOMP_SPINCOUNT", "KMP_BLOCKTIME"}


@pytest.mark.parametrize(
    ("groups", "files", "quota"),
    [
        ("0::/\n", {}, None),
        ("0::/\n", {"cpu.max": "max 100000"}, None),
        ("0::/\n", {"cpu.max": "150000 100000"}, 1.5),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000", "a/cpu.max": "200000 100000"}, 2.0),
        ("0::/a/b\n", {"a/b/cpu.max": "300000 100000", "a/cpu.max": "400000 100000"}, 3.0),
        ("0::/not/seen\n", {"cpu.max": "50000 100000"}, 0.5),
        ("3:cpu,cpuacct:/x\n", {"cpu,cpuacct/x/cpu.cfs_quota_us": "200000",
                               "cpu,cpuacct/x/cpu.cfs_period_us": "100000"}, 2.0),
        ("3:cpu:/x\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ("3:cpu:/docker/1\n", {"cpu/cpu.cfs_quota_us": "350000", "cpu/cpu.cfs_period_us": "100000"}, 3.5),
        ("3:memory:/x\n", {"memory/x/cpu.max": "1 1"}, None),
        ("0::/\n", {"cpu.max": "nonsense"}, None),
        ("0::/\n", {"cpu.max": "100000 0"}, None),
        ("garbage\n", {}, None),
    ],
)  # fmt: skip
def test_a_quota_is_read_wherever_it_stands(
    tmp_path: Path, groups: str, files: Mapping[str, str], quota: float | None
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert quota_cores(groups, tmp_path) == quota


@pytest.mark.parametrize(
    ("allowed", "quota", "cores"), [(8, None, 8), (8, 2.0, 2), (8, 1.9, 1), (8, 0.3, 1), (2, 64.0, 2)]
)
def test_cores_are_those_that_affinity_and_quota_leave(allowed: int, quota: float | None, cores: int) -> None:
    assert within(allowed, quota) == cores


def test_an_affinity_counts() -> None:
    text = "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])\n"
    text += "from jupyter_ext.ipc.cores import usable_cores; print(usable_cores())"
    assert subprocess.check_output([sys.executable, "-c", text], text=True) == "1\n"
    assert 1 <= usable_cores() <= allowed_cores()


def in_a_worker(tmp_path: Path, environ: Mapping[str, str], code: str, threads: int | None = None) -> Any:
    """Set up a process as a worker's and return what an expression gives there."""
    spec = {
        "run_dir": str(tmp_path),
        "cwd": str(tmp_path),
        "environ": {**os.environ, **environ},
        "threads": threads,
    }
    text = (
        f"import json, os, sys\nfrom jupyter_ext.worker.runtime.process_setup import prepare_process\n{code}"
    )
    text = text.replace("SETUP", f"prepare_process(json.loads({json.dumps(spec)!r}))")
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def setting(name: str, value: object) -> dict[str, str]:
    return {SETTINGS_VARIABLE: json.dumps({name: value})}


def test_the_time_zone_and_warnings_of_the_environment_are_applied(tmp_path: Path) -> None:
    code = "SETUP\nimport time, warnings\nwarnings.warn('x')\nprint(json.dumps([time.strftime('%z'), sys.warnoptions]))"
    found = in_a_worker(
        tmp_path, {"TZ": "Asia/Tokyo", "PYTHONWARNINGS": "error::DeprecationWarning,ignore"}, code
    )
    assert found == ["+0900", ["error::DeprecationWarning", "ignore"]]


@pytest.mark.parametrize("notebook", [
    "import logging; logging.basicConfig(level=10, format='%(message)s!')",
    "import logging; logging.getLogger().setLevel(10); logging.basicConfig(format='%(message)s!')",
])  # fmt: skip
def test_logging_of_the_notebook_is_taken_over(tmp_path: Path, notebook: str) -> None:
    text = f"{notebook}\nimport json; from jupyter_ext.client.requests.process_settings import process_settings\n"
    settings = subprocess.check_output(
        [
            sys.executable,
            "-c",
            text + "logging.getLogger('a.b').setLevel(40)\nprint(json.dumps(process_settings()))",
        ],
        text=True,
    )
    code = "SETUP\nimport logging\nroot = logging.getLogger()\n"
    code += "print(json.dumps([root.level, root.handlers[0].formatter._fmt, logging.getLogger('a.b').level]))"
    assert in_a_worker(tmp_path, {SETTINGS_VARIABLE: settings}, code) == [10, "%(message)s!", 40]


def test_warnings_filters_of_the_notebook_come_first(tmp_path: Path) -> None:
    text = (
        "import json, warnings; from jupyter_ext.client.requests.process_settings import process_settings\n"
    )
    text += "warnings.filterwarnings('error', 'loud.*'); warnings.filterwarnings('ignore', category=UserWarning)\n"
    settings = subprocess.check_output(
        [sys.executable, "-c", text + "print(json.dumps(process_settings()))"], text=True
    )
    code = "SETUP\nimport warnings\nprint(json.dumps([[f[0], f[1] and f[1].pattern] for f in warnings.filters[:2]]))"
    assert in_a_worker(tmp_path, {SETTINGS_VARIABLE: settings}, code) == [
        ["ignore", None],
        ["error", "loud.*"],
    ]


def test_torchs_default_dtype_is_applied(tmp_path: Path) -> None:
    code = "SETUP\nimport torch\nprint(json.dumps(str(torch.zeros(1).dtype)))"
    assert in_a_worker(tmp_path, setting("default_dtype", "float64"), code) == "torch.float64"


def test_the_users_umask_is_for_the_users_files_and_not_for_ours(tmp_path: Path) -> None:
    code = "from jupyter_ext.worker.runtime.process_setup import write_stacks_to\nfrom pathlib import Path\nSETUP\n"
    code += f"where = Path({str(tmp_path)!r})\nwrite_stacks_to(where / 'stacks.txt')\n"
    code += "from jupyter_ext.ipc.json_files import write_json\nwrite_json(where / 'a.json', 1); open(where / 'own', 'w')\n"
    code += "print(json.dumps([oct((where / n).stat().st_mode & 0o777) for n in ('own', 'stacks.txt', 'a.json')]))"
    assert in_a_worker(tmp_path, setting("umask", 0o002), code) == ["0o664", "0o600", "0o600"]


@pytest.mark.parametrize(
    ("environ", "threads"), [({}, 3), ({"OMP_NUM_THREADS": "2"}, 2), ({"MKL_NUM_THREADS": "1"}, 1), ({"OMP_NUM_THREADS": "2,4"}, 2)]
)  # fmt: skip
def test_the_users_number_of_threads_wins(tmp_path: Path, environ: Mapping[str, str], threads: int) -> None:
    code = "import torch\nSETUP\nprint(json.dumps(torch.get_num_threads()))"
    cleared = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "")
    assert in_a_worker(tmp_path, cleared | environ, code, threads=3) == threads


@pytest.mark.parametrize(
    "settings", ["", "{", "[]", '{"warnings": 3, "logging": [1], "default_dtype": "x", "umask": "y"}']
)
def test_settings_of_another_version_keep_nothing_from_starting(tmp_path: Path, settings: str) -> None:
    assert in_a_worker(
        tmp_path, {SETTINGS_VARIABLE: settings}, "SETUP\nprint(json.dumps(os.getcwd()))"
    ) == str(tmp_path)
