"""Signals end the command, at once or when a training can be left; a second wish at once."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from vae_lightning.signals import Interrupted, Signals


@pytest.fixture
def handled() -> Iterator[Signals]:
    signals, before = Signals(), signal.signal(signal.SIGHUP, signal.SIG_DFL)  # `nohup` ignores it
    with signals.handling():
        yield signals
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(("signum", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)])
def test_a_signal_is_an_exit_with_the_status_that_shells_know(signum: int, status: int, handled: Signals) -> None:
    with pytest.raises(Interrupted) as left:
        os.kill(os.getpid(), signum)
    assert left.value.code == status


def test_one_that_is_held_is_answered_when_it_is_asked_for(handled: Signals, capfd: pytest.CaptureFixture[str]) -> None:
    handled.hold(True)
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGTERM)  # as a launcher sends it again to each of its processes
    assert handled.received == signal.SIGTERM
    assert capfd.readouterr().err == "vae-lightning: SIGTERM: stopping after this step\n"
    with pytest.raises(Interrupted):
        handled.answer()


def test_the_handlers_of_before_come_back() -> None:
    before = [signal.getsignal(signum) for signum in (signal.SIGTERM, signal.SIGINT)]
    with Signals().handling():
        assert signal.getsignal(signal.SIGTERM) not in before
    assert [signal.getsignal(signum) for signum in (signal.SIGTERM, signal.SIGINT)] == before


def test_what_the_caller_ignores_stays_ignored() -> None:
    """As under `nohup`, or in the background of a script."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    with Signals().handling():
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.signal(signal.SIGINT, before) is signal.SIG_IGN


WORK = """
import time
from vae_lightning.signals import signals
with signals.handling():
    signals.hold(True)
    print("working", flush=True)
    for _ in range(3000): time.sleep(0.01)
"""


@pytest.mark.parametrize(("signum", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_second_one_ends_at_once_what_waits(signum: int, status: int) -> None:
    with subprocess.Popen([sys.executable, "-c", WORK], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as work:
        assert work.stdout is not None
        work.stdout.readline()
        work.send_signal(signum)
        time.sleep(1.2)  # longer than an echo takes
        assert work.poll() is None
        work.send_signal(signum)
        assert work.wait(10) == status


def test_a_lost_terminal_ends_it_as_sigterm_does() -> None:
    """What it still prints goes nowhere: written to a terminal that is gone, it would be an error."""
    work = WORK.replace("for _ in range(3000)", "while not signals.received")
    work += "    print('stopped', flush=True)\n    signals.answer()\n"
    child, terminal = pty.fork()
    if not child:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whatever the tests were started by
        os.execv(sys.executable, [sys.executable, "-c", work])
    while b"working" not in os.read(terminal, 100):
        pass
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 129
