"""What a person sees of a command that fails: one line, an exit code, and the traceback if asked.

=====  ============================================================================
code   meaning
=====  ============================================================================
0      all went well
1      the command did its work, and some runs failed or some chains did not converge; or
       runs have not settled, and nothing is concluded from them
2      what was given cannot be used: an argument, a file, a place, too little memory
70     a fault of pyrovae's own
130    interrupted
=====  ============================================================================
"""

from __future__ import annotations

import errno
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import click

from pyrovae.core.errors import NotSettled, PyrovaeError, first_line

#: Some runs failed or have not settled, or some chains did not converge.
SOME_FAILED = 1

#: How PyTorch and NumPy begin to say that memory does not suffice, besides MemoryError.
_OUT_OF_MEMORY = ("not enough memory", "can't allocate memory", "out of memory")


class Failure(click.ClickException):
    """One line for the user, and an exit code: what click shows and ends with."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the line."""
        click.echo(self.message, file=file, err=file is None)


class Unusable(Failure):
    """Something given cannot be used."""

    exit_code = 2


class Inconclusive(Failure):
    """All was well with what was given, and nothing can be concluded from it."""

    exit_code = SOME_FAILED


class Fault(Failure):
    """The program is wrong: ``EX_SOFTWARE`` of sysexits.h."""

    exit_code = 70


class Interrupted(Failure):
    """SIGINT ended the program: what shells say of it."""

    exit_code = 130


class OneLineGroup(click.Group):
    """The outermost group: whatever ends a command inside it is told in one line."""

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """Parse the arguments in front of the command."""
        with _told(debug=False):
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with _told(debug=ctx.params["debug"]):
            return super().invoke(ctx)


@contextmanager
def _told(*, debug: bool) -> Iterator[None]:
    try:
        yield
    except (click.exceptions.Exit, click.exceptions.NoArgsIsHelpError):
        raise
    except (Exception, KeyboardInterrupt) as failure:
        if isinstance(failure, OSError) and failure.errno == errno.EPIPE:
            raise  # click ends quietly when nobody reads on
        if debug:
            traceback.print_exc()
        raise as_failure(failure) from None


def as_failure(failure: BaseException) -> Failure:
    """Return what the user is told of an exception, with the exit code."""
    match failure:
        case NotSettled():
            return Inconclusive(str(failure))
        case PyrovaeError():
            return Unusable(str(failure))
        case click.UsageError():
            return Unusable(_usage(failure))
        case click.ClickException():
            return Unusable(failure.format_message())
        case KeyboardInterrupt() | click.Abort():
            return Interrupted("interrupted")
        case OSError(errno=int()):
            return Unusable(_place_of(failure) + (failure.strerror or ""))
        case ValueError() if "embedded null" in str(failure):  # Python's words of a path
            return Unusable("a path cannot hold a null character")
        case _ if _is_out_of_memory(failure):
            return Unusable(f"this needs more memory than there is: {first_line(failure)}")
    told = f"{type(failure).__name__}: {first_line(failure)}"
    return Fault(
        f"a fault of pyrovae's own: {told}; `pyrovae --debug …` shows where, please report it"
    )


def _usage(failure: click.UsageError) -> str:
    message = failure.format_message().rstrip(".")
    if failure.ctx is None:
        return message
    command = failure.ctx.command_path
    return f"{command}: {message}; `{command} --help` tells more"


def _place_of(failure: OSError) -> str:
    places = [str(p) for p in (failure.filename, failure.filename2) if p is not None]
    return f"{' to '.join(places)}: " if places else ""


def _is_out_of_memory(failure: BaseException) -> bool:
    if isinstance(failure, MemoryError):
        return True
    told = str(failure).lower()
    return isinstance(failure, RuntimeError) and any(words in told for words in _OUT_OF_MEMORY)
