"""Who is told what happens while a study runs: the terminal, a progress file, loggers.

An observer is a context manager with ``show(event)``, as
:class:`pyrovae.study.watch.progress.Display` is one.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from rich.console import Console

from pyrovae.study.watch.events import Event, Tell
from pyrovae.study.watch.progress import Display


class Together:
    """Several observers as one, told in turn.

    Parameters
    ----------
    observers
        Entered in this order, left in the reverse one.
    """

    def __init__(self, observers: Sequence[Display]) -> None:
        self._observers = observers
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for observer in self._observers:
                stack.enter_context(observer)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def show(self, event: Event) -> None:
        """Tell each observer."""
        for observer in self._observers:
            observer.show(event)


class Told:
    """A function as an observer.

    Parameters
    ----------
    tell
        Called with each event.
    """

    def __init__(self, tell: Tell) -> None:
        self._tell = tell

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, event: Event) -> None:
        """Tell the function."""
        self._tell(event)


class Dispensable:
    """An observer whose failure is said once and then costs its own reports only, not the study.

    Parameters
    ----------
    observer
        Such as a logger that writes to another machine.
    name
        What to call it in the warning.
    console
        Where the warning goes.
    """

    def __init__(self, observer: Display, name: str, console: Console) -> None:
        self._observer, self._name, self._console = observer, name, console
        self._failed = False

    def __enter__(self) -> Self:
        try:
            self._observer.__enter__()
        except Exception as failure:
            self._give_up(failure)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if not self._failed:
                self._observer.__exit__(kind, error, trace)
        except Exception as failure:
            self._give_up(failure)

    def show(self, event: Event) -> None:
        """Tell the observer, unless it has failed before."""
        if self._failed:
            return
        try:
            self._observer.show(event)
        except Exception as failure:
            self._give_up(failure)

    def _give_up(self, failure: Exception) -> None:
        self._failed = True
        told = str(failure).strip().split("\n")[0]
        self._console.print(
            f"{self._name}: {type(failure).__name__}: {told}; the study goes on without it",
            style="yellow",
            markup=False,
            highlight=False,
        )
