"""What tasks print and log: that it arrives, once, with the name of the task, wherever this process shows it."""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from conftest import eventually

import quiltwork as qw


def speak(number: int) -> None:
    print("line", number)
    print("begun, ", end="")
    print("ended", file=sys.stdout)
    sys.stderr.write("to errors\n")
    os.write(1, b"from another language\n")
    print("not ended", end="")


def test_lines_go_where_this_process_shows_errors_at_the_moment() -> None:
    shown = io.StringIO()
    with contextlib.redirect_stderr(shown), qw.Client(n_workers=1) as client:
        (pid,) = client.worker_pids()
        client.submit(speak, 7).result()
        client.submit(lambda: print("from a lambda")).result()
    texts = ["line 7", "begun, ended", "to errors"]
    expected = [f"[worker {pid}, speak] {text}" for text in texts]
    expected += [f"[worker {pid}] from another language", f"[worker {pid}, speak] not ended"]
    assert shown.getvalue().splitlines() == [*expected, f"[worker {pid}, <lambda>] from a lambda"]


def test_of_a_line_only_what_is_seen_in_the_end_is_shown() -> None:
    def draw() -> None:
        for percent in range(0, 101, 10):
            print(f"\r{percent} %", end="", flush=True)
        print("\r\nx" + "é" * 5000)

    lines: list[qw.Line] = []
    with qw.Client(n_workers=1, output=lines.append) as client:
        client.submit(draw, key="all of it: drawn").result()
    assert [line.task for line in lines] == ["all of it: drawn"] * 2
    assert (lines[0].text, len(lines[1].text), lines[1].text[-2:]) == ("100 %", 3501, "é…")


def test_a_function_gets_lines_if_one_is_given() -> None:
    lines: list[qw.Line] = []
    with qw.Client(n_workers=1, output=lines.append) as client:
        (pid,) = client.worker_pids()
        client.submit(speak, 1).result()
        client.submit(warn, "my.module").result()
    assert lines[0] == qw.Line(pid, "speak", "line 1")
    assert lines[-1] == qw.Line(pid, "warn", "careful", logging.WARNING, "my.module")


def test_a_function_that_raises_is_told_about_and_called_again(caplog: pytest.LogCaptureFixture) -> None:
    lines: list[str] = []

    def take(line: qw.Line) -> None:
        lines.append(line.text)
        raise RuntimeError("no room")

    with qw.Client(n_workers=1, output=take) as client:
        client.gather(client.map(print, ["a", "b"]))
    assert sorted(lines) == ["a", "b"] and "no room" in caplog.text


def warn(logger: str) -> None:
    logging.getLogger(logger).info("nobody hears that")
    logging.getLogger(logger).warning("careful")


def log_all() -> None:
    log = logging.getLogger("my.module")
    log.error("wrong: %s\nin two lines", 7)
    try:
        raise ValueError("deep")
    except ValueError:
        log.exception("it failed")
    logging.basicConfig()
    log.critical("x" * 20_000)


def test_log_records_reach_the_logger_of_their_name_once(caplog: pytest.LogCaptureFixture) -> None:
    shown = io.StringIO()
    with contextlib.redirect_stderr(shown), qw.Client(n_workers=1) as client:
        (pid,) = client.worker_pids()
        client.submit(warn, "my.module").result()
        client.submit(log_all).result()
    first, second, third, fourth = caplog.records
    assert (first.name, first.levelno, first.getMessage()) == ("my.module", logging.WARNING, "careful")
    assert (first.process, first.processName, first.threadName) == (pid, f"worker {pid}", "warn")
    assert (second.levelno, second.getMessage()) == (logging.ERROR, "wrong: 7\nin two lines")
    assert third.getMessage().startswith("it failed\nTraceback") and third.getMessage().endswith("ValueError: deep")
    assert fourth.levelno == logging.CRITICAL and fourth.getMessage().endswith("x…")
    assert shown.getvalue() == ""


def test_records_nobody_takes_are_shown_as_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    # Handlers of whoever runs these tests.
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    shown = io.StringIO()
    with contextlib.redirect_stderr(shown), qw.Client(n_workers=1) as client:
        (pid,) = client.worker_pids()
        client.submit(warn, "my.module").result()
    assert shown.getvalue() == f"[worker {pid}, warn] WARNING my.module: careful\n"


def flood(lines: int) -> None:
    for number in range(lines):
        print(number)


def test_a_flood_is_cut_and_counted() -> None:
    lines: list[str] = []
    with qw.Client(n_workers=1, output=lambda line: lines.append(line.text)) as client:
        client.submit(flood, 20_000).result()
        eventually(lambda: lines[-1].endswith("dropped: a worker may print 1,000 in a second"))
        client.submit(print, "after it").result()
    assert lines[:1000] == [str(number) for number in range(1000)]
    dropped = sum(int(line.split()[1]) for line in lines if line.startswith("…"))
    printed = sum(line.isdecimal() for line in lines)
    assert printed + dropped == 20_000 and lines[-1] == "after it"


MEETING = threading.Barrier(2)


def alternate(word: str) -> None:
    for part in range(3):
        MEETING.wait(60)
        print(f"{word}{part} ", end="")
    print()


def test_lines_of_tasks_that_run_side_by_side_do_not_mix() -> None:
    lines: list[str] = []
    with qw.Client(n_workers=1, slots=2, output=lambda line: lines.append(line.text)) as client:
        client.gather([client.submit(alternate, word) for word in "ab"])
    assert sorted(lines) == ["a0 a1 a2 ", "b0 b1 b2 "]


def test_the_last_words_of_a_worker_are_read_by_people() -> None:
    def die() -> None:
        logging.getLogger("my.module").error("no way\nout")
        print("last words")
        os._exit(3)

    with qw.Client(n_workers=1, output=lambda _: None) as client, pytest.raises(qw.errors.Poisoned) as caught:
        client.submit(die).result()
    assert "die last words\n" in f"{caught.value}\n" and "40 my.module die no way out" in str(caught.value)
    assert not any(character in str(caught.value) for character in "\x1c\x1d\x1e\x1f")


def terminal(is_one: bool) -> Any:
    stream = io.StringIO()
    stream.isatty = lambda: is_one  # type: ignore[method-assign]
    return stream


def shown_by(stream: Any, show: Callable[[], None]) -> str:
    with contextlib.redirect_stderr(stream):
        show()
    return str(stream.getvalue())


def half() -> None:
    task = qw.current_task()
    assert task is not None
    task.progress(1, 2)
    time.sleep(1)


def say_while_shown() -> None:
    time.sleep(1)
    print("in between")
    time.sleep(0.5)


def test_progress_is_a_line_of_a_terminal(client: qw.Client) -> None:
    futures = [client.submit(half), client.submit(lambda: 1 / 0), client.submit(abs, -1)]
    text = shown_by(terminal(True), lambda: qw.progress(futures[0], {"others": futures[1:]}))
    *shown, last = text.split("\r\x1b[K")
    assert any("] 1/3 done, 1 failed, 1 running, " in line and line.count("#") == 25 for line in shown), text
    assert last.startswith(f"[{'#' * 30}] 2/3 done, 1 failed, ") and last.endswith(" s\n")
    words = shown_by(terminal(True), lambda: qw.progress([client.submit(say_while_shown)]))
    assert re.search(r"\r\x1b\[K\[worker \d+, say_while_shown\] in between\n\r\x1b\[K\[[-#]", words), words


def test_progress_elsewhere_is_one_line_at_the_end(client: qw.Client) -> None:
    text = shown_by(terminal(False), lambda: qw.progress(client.map(abs, range(5))))
    assert text.startswith("5/5 done, ") and text.count("\n") == 1
    assert shown_by(terminal(False), qw.progress).startswith("0/0 done, ")


def test_progress_is_a_bar_in_the_cell_of_a_notebook(client: qw.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    import types

    shown: list[str] = []
    handle = types.SimpleNamespace(update=shown.append)
    parts = types.SimpleNamespace(HTML=str, display=lambda _, display_id: handle)
    shell = types.SimpleNamespace(kernel=object())
    notebook = types.SimpleNamespace(get_ipython=lambda: shell, display=parts)
    monkeypatch.setitem(sys.modules, "IPython", notebook)
    monkeypatch.setitem(sys.modules, "IPython.display", parts)
    assert shown_by(terminal(True), lambda: qw.progress(client.map(abs, range(3)))) == ""
    assert shown[-1].startswith('<progress max="1" value="1.0000"') and "3/3 done" in shown[-1]


class Speaking:
    def __init__(self) -> None:
        print("made")

    def speak(self) -> None:
        print("begun, ", end="")
        print("ended")
        print("not ended", end="")


class SpeakingBeside:
    def __init__(self) -> None:
        self.turn = asyncio.Event()

    async def first(self) -> None:
        print("first ", end="")
        await self.turn.wait()
        print("is whole", end="")

    async def second(self) -> None:
        print("second ", end="")
        await asyncio.sleep(0)
        print("as well")
        self.turn.set()


def test_lines_of_actors_and_streams_have_their_names() -> None:
    lines: list[qw.Line] = []

    def numbers() -> Iterator[int]:
        print("a number")
        yield 1

    with qw.Client(n_workers=1, output=lines.append) as client:
        client.actor(Speaking).speak.remote().result()
        beside = client.actor(SpeakingBeside)
        client.gather([beside.first.remote(), beside.second.remote()])
        assert list(client.submit(numbers)) == [1]
    told = [(line.task, line.text) for line in lines]
    assert told[:3] == [("Speaking", "made"), ("speak", "begun, ended"), ("speak", "not ended")]
    assert told[3:] == [("second", "second as well"), ("first", "first is whole"), ("numbers", "a number")]
