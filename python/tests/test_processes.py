"""Whole programs: how they start, how they end, and that they leave nothing."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import PATIENCE, eventually, is_running

Run = Callable[..., "subprocess.CompletedProcess[str]"]

# Prints who belongs to it, and then does what it is told.
BEGINNING = """\
import asyncio, os, signal, sys, time
sys.path.insert(0, {tests!r})
import quiltwork as qw
from conftest import areas_of
client = qw.Client(n_workers=2)
class Waiting:
    async def wait(self, seconds):
        await asyncio.sleep(seconds)
    async def sleep(self, seconds):
        await asyncio.to_thread(time.sleep, seconds)
def forever():
    while True:
        yield 1
print(*client.worker_pids(), *areas_of(os.getpid()), flush=True)
"""


def begin(tmp_path: Path, rest: str) -> subprocess.Popen[str]:
    script = tmp_path / "driver.py"
    script.write_text(BEGINNING.format(tests=str(Path(__file__).parent)) + rest)
    return subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def census(driver: subprocess.Popen[str]) -> tuple[list[int], list[Path]]:
    assert driver.stdout is not None
    words = driver.stdout.readline().split()
    pids = [int(word) for word in words if word.isdigit()]
    folders = [Path(word) for word in words if not word.isdigit()]
    assert len(pids) == 2 and folders, words
    return pids, folders


def nothing_is_left(pids: list[int], folders: list[Path]) -> None:
    eventually(lambda: not any(map(is_running, pids)))
    eventually(lambda: not any(folder.exists() for folder in folders))


@pytest.mark.parametrize(
    "end",
    [
        "",
        "client.close()",
        "sys.exit(0)",
        "del client",
        "f = client.map(time.sleep, [60] * 9)",
        "import builtins\nbuiltins.kept = client",
        "held = client.submit(str, 1)",
        "a = client.actor(Waiting); f = a.wait.remote(60)",
        "a = client.actor(Waiting); f = a.sleep.remote(60); a.wait.remote(0).result()",
        "s = client.submit(forever); print(next(s))",
    ],
)
def test_nothing_is_left_after_a_program(tmp_path: Path, end: str) -> None:
    driver = begin(tmp_path, end)
    pids, folders = census(driver)
    _, printed = driver.communicate(timeout=PATIENCE)
    assert (driver.returncode, printed) == (0, "")
    nothing_is_left(pids, folders)


def test_nothing_is_left_after_an_exception(tmp_path: Path) -> None:
    driver = begin(tmp_path, "raise ValueError('no')")
    pids, folders = census(driver)
    _, printed = driver.communicate(timeout=PATIENCE)
    assert driver.returncode == 1 and printed.endswith("ValueError: no\n")
    nothing_is_left(pids, folders)


def test_nothing_is_left_of_a_killed_driver(tmp_path: Path) -> None:
    driver = begin(tmp_path, "f = client.map(time.sleep, [60] * 9)\ntime.sleep(60)")
    pids, folders = census(driver)
    driver.kill()
    driver.communicate(timeout=PATIENCE)
    nothing_is_left(pids, folders)


@pytest.mark.parametrize(
    "wait",
    [
        "client.submit(time.sleep, 60).result()",
        "client.gather(client.map(time.sleep, [60] * 9))",
        "qw.wait(client.map(time.sleep, [60] * 9))",
        "list(qw.as_completed(client.map(time.sleep, [60] * 9)))",
        "client.submit(time.sleep, 60).exception()",
        "client.actor(Waiting).wait.remote(60).result()",
        "list(client.submit(forever))",
    ],
)
def test_ctrl_c_ends_a_wait_and_what_is_waited_for(tmp_path: Path, wait: str) -> None:
    rest = f"""
try:
    print("waiting", flush=True)
    {wait}
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
    driver = begin(tmp_path, rest)
    pids, folders = census(driver)
    assert driver.stdout is not None and driver.stdout.readline() == "waiting\n"
    time.sleep(0.3)
    driver.send_signal(signal.SIGINT)
    printed, errors = driver.communicate(timeout=PATIENCE)
    assert (printed, errors, driver.returncode) == ("interrupted\n", "", 0)
    nothing_is_left(pids, folders)


def test_a_script_needs_no_guard(run_script: Run) -> None:
    ran = run_script(
        """
import quiltwork as qw

print("once")
SCALE = 3

class Point:
    def __init__(self, x):
        self.x = x

class Odd(Exception):
    pass

def scaled(point):
    if point.x == 7:
        raise Odd(point.x)
    return Point(SCALE * point.x)

client = qw.Client(n_workers=1)
made = client.submit(scaled, Point(2))
print(type(made.result()) is Point, made.result().x, client.submit(scaled, made).result().x)
try:
    client.submit(scaled, Point(7)).result()
except Odd as error:
    print("odd", error)
"""
    )
    assert (ran.stdout, ran.stderr) == ("once\nTrue 6 18\nodd 7\n", "")


def test_modules_beside_the_script_are_found(run_script: Run, tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("def triple(x):\n    return 3 * x\n")
    ran = run_script("import beside, quiltwork as qw\nprint(qw.Client(n_workers=1).submit(beside.triple, 5).result())")
    assert (ran.stdout, ran.stderr) == ("15\n", "")


def test_what_tasks_print_is_seen(run_script: Run) -> None:
    ran = run_script(
        """
import quiltwork as qw
with qw.Client(n_workers=1) as client:
    client.submit(print, "words of a task").result()
    print(client.submit(lambda: __import__("os").environ["OMP_NUM_THREADS"]).result())
"""
    )
    assert "] words of a task\n" in ran.stderr and ran.stdout == "1\n"


def test_the_engine_says_what_it_has_noticed_if_asked(run_script: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    script = """
import quiltwork as qw
with qw.Client(n_workers=1) as client:
    client.kill_worker(client.worker_pids()[0])
    print(client.submit(abs, -1).result())
"""
    quiet = run_script(script)
    assert (quiet.stdout, quiet.stderr) == ("1\n", "")
    monkeypatch.setenv("QUILTWORK_LOG", "warn")
    told = run_script(script)
    assert told.stdout == "1\n" and "SIGKILL" in told.stderr


def test_a_forked_client_refuses(run_script: Run) -> None:
    ran = run_script(
        """
import os, sys, warnings
import quiltwork as qw
client = qw.Client(n_workers=1)
future = client.submit(abs, -1)
future.result()
class Actor:
    def get(self):
        return 1
actor = client.actor(Actor)
actor.get.remote().result()
if os.fork() == 0:
    for use in (lambda: client.submit(abs, -1), future.result, actor.get.remote, client.close):
        try:
            use()
        except RuntimeError as error:
            print(str(error).splitlines()[0])
    with qw.Client(n_workers=1) as own:
        print(own.submit(abs, -3).result(), flush=True)
    del actor
    sys.exit(0)
os.wait()
assert actor.get.remote().result() == 1
print(client.submit(abs, future).result())
"""
    )
    refusal = "this client was made before the process was forked, and belongs to the parent\n"
    assert (ran.stdout, ran.stderr) == (4 * refusal + "3\n1\n", "")


def test_an_import_starts_nothing_and_loads_little(run_script: Run) -> None:
    ran = run_script(
        """
import sys
before = set(sys.modules)
import quiltwork
import threading
loaded = {name.partition(".")[0] for name in set(sys.modules) - before}
print(threading.active_count(), sorted(loaded & {"asyncio", "cloudpickle", "logging", "numpy", "subprocess"}))
"""
    )
    assert ran.stdout == "1 []\n"


def test_the_module_checks_an_installation(tmp_path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, cwd=tmp_path)

    checked = run("quiltwork", "--workers", "1")
    assert checked.returncode == 0 and "1 workers; process" in checked.stdout, checked
    by_hand = run("quiltwork.worker")
    assert by_hand.returncode == 1 and "was not started as a worker" in by_hand.stderr


def test_another_process_connects_with_a_ticket(run_script: Run) -> None:
    ran = run_script(
        """
import subprocess, sys
import quiltwork as qw
with qw.Client(n_workers=1) as client:
    other = "import sys, quiltwork as qw; print(qw.Client(sys.argv[1]).submit(abs, -4).result())"
    subprocess.run([sys.executable, "-c", other, client.ticket], check=True)
try:
    qw.Client("quiltwork:no")
except qw.errors.ConnectionLost as error:
    print(error.hint is not None)
"""
    )
    assert (ran.stdout, ran.stderr) == ("4\nTrue\n", "")


def test_a_killed_worker_costs_no_result(tmp_path: Path) -> None:
    driver = begin(
        tmp_path,
        """
import operator
def slow(x):
    time.sleep(0.02)
    return x * x
squares = client.map(slow, range(100))
qw.wait(squares[:10])
client.kill_worker(client.worker_pids()[0])
print(client.gather(squares) == [x * x for x in range(100)])
""",
    )
    pids, folders = census(driver)
    printed, errors = driver.communicate(timeout=PATIENCE)
    assert (printed, errors) == ("True\n", "")
    nothing_is_left(pids, folders)


def test_actors_and_streams_that_are_ended_at_any_moment_leave_nothing_and_say_nothing(run_script: Run) -> None:
    ran = run_script(
        """
import asyncio, os, random, time
import quiltwork as qw

class Waiting:
    async def wait(self, seconds):
        await asyncio.sleep(seconds)
    def get(self):
        return 1

def numbers():
    yield from range(100)

async def more_numbers():
    for number in range(100):
        yield number

def look():
    time.sleep(0.001)
    return os.getpid(), (len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd")))

with qw.Client(n_workers=2) as client:
    def looks():
        return dict(client.gather([client.submit(look) for _ in range(60)]))
    client.gather([client.actor(Waiting).get.remote() for _ in range(8)])
    before = looks()
    for round in range(40):
        actor = client.actor(Waiting)
        calls = [actor.wait.remote(random.choice([0, 0.001, 60])) for _ in range(10)]
        for call in random.sample(calls, 5):
            call.cancel()
        if round % 2:
            client.kill(actor)
        stream = client.submit(random.choice([numbers, more_numbers]), prefetch=round % 4)
        for number in stream:
            if number >= round % 5:
                break
    del actor, calls, call, stream
    deadline = time.monotonic() + 60
    while (after := looks()) != before and time.monotonic() < deadline:
        time.sleep(0.1)
    print(after == before or (before, after))
"""
    )
    assert (ran.stdout, ran.stderr) == ("True\n", "")
