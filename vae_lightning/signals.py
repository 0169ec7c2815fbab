"""Signals: SIGTERM, SIGINT and SIGHUP -> the end of the command, at once or when a training can be left."""

from __future__ import annotations

import os
import signal
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

_HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_IMPATIENT = 1.0  # seconds after which a second signal is another wish, not the first one's echo by a launcher


class Interrupted(SystemExit):
    """A signal ended the command: its exit status is 128 + the signal, as shells have it."""

    def __init__(self, signum: int) -> None:
        super().__init__(128 + signum)
        self.name = signal.Signals(signum).name


class Signals:
    """What a signal does: raise `Interrupted`; while they are held, it is `received` only. A later one ends at once.

    The default actions would not do: the kernel keeps them from process 1, which a container's command is.
    """

    def __init__(self) -> None:
        self.received = 0
        self.handled: tuple[int, ...] = ()
        self._held, self._since = False, 0.0

    @contextmanager
    def handling(self) -> Iterator[None]:
        """Within this block; what the caller has ignored stays ignored. Only the main thread can handle signals."""
        before = {signum: signal.getsignal(signum) for signum in _HANDLED}
        if threading.current_thread() is threading.main_thread():
            self.handled = tuple(signum for signum, handler in before.items() if handler is not signal.SIG_IGN)
        self.received, self._held = 0, False
        self.take()
        try:
            yield
        finally:
            for signum in self.handled:
                signal.signal(signum, before[signal.Signals(signum)])
            self.handled = ()

    def take(self) -> None:
        """Handle them, whoever does now."""
        for signum in self.handled:
            signal.signal(signum, self)

    def hold(self, held: bool) -> None:
        """Whether a signal waits for whoever asks what was `received`."""
        self._held = held

    def answer(self) -> None:
        """Raise `Interrupted` if one was received: a run that was over before it could be left ends with it, too."""
        if self.received:
            raise Interrupted(self.received)

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        """One has come."""
        now = time.monotonic()
        if signum == signal.SIGHUP:
            _leave_lost_terminal()
        if not self.received:
            self.received, self._since = signum, now
            if not self._held:
                raise Interrupted(signum)
            os.write(2, f"vae-lightning: {signal.Signals(signum).name}: stopping after this step\n".encode())
        elif signum != signal.SIGHUP and now - self._since > _IMPATIENT:  # which a shell and the kernel both send
            os._exit(128 + signum)


def _leave_lost_terminal() -> None:
    """Write to nowhere what would be written to a terminal that is gone, and be an error."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        with suppress(OSError):  # of one that is closed
            if stat.S_ISCHR(os.fstat(descriptor).st_mode) and not os.isatty(descriptor):
                os.dup2(nowhere, descriptor)
    os.close(nowhere)


signals = Signals()
