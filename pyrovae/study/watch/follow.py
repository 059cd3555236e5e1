"""A running study in the terminal, from any terminal: ``pyrovae study watch NAME``."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Column, Table
from rich.text import Text

from pyrovae.study.store.folders import Store
from pyrovae.study.store.settling import MARK
from pyrovae.study.watch import live
from pyrovae.study.watch.live import RunProgress, Snapshot
from pyrovae.training.settled import Settled

#: Runs that have ended and are still shown, latest first.
_RECENT = 8
_BLOCKS = "▁▂▃▄▅▆▇█"
#: Characters of a line that has room for curves.
_WIDE = 120
#: Characters of a curve.
_CURVE = 20


def watch(root: Path, console: Console, *, interval: float = 1.0, once: bool = False) -> None:
    """Show a study until it ends, or the one moment that it is in.

    Parameters
    ----------
    root
        ``results/<study>`` of a study that has been run.
    console
        Where to show it. Where that is no terminal, one moment is shown.
    interval
        Seconds between two looks.
    once
        Show this moment only.
    """
    if once or not console.is_terminal:
        console.print(view(live.read(root), Store(root), time.time(), width=console.width))
        return
    with Live(console=console, auto_refresh=False) as shown:
        while True:
            now = live.read(root)
            shown.update(view(now, Store(root), time.time(), width=console.width), refresh=True)
            if now is None or not now.is_running():
                return
            time.sleep(interval)


def view(
    snapshot: Snapshot | None, store: Store, now: float, *, width: int = _WIDE
) -> RenderableType:
    """Return what the terminal shows of a moment.

    Parameters
    ----------
    snapshot
        What the study published last; ``None`` if it never did.
    store
        Its results: scores of runs that are done.
    now
        Seconds since the epoch.
    width
        Characters of a line: every run has one line, and what has no room there is left out.
    """
    if snapshot is None:
        return Text(f"{store.root.name}: nobody has run it with a version that publishes progress")
    running = {k: r for k, r in snapshot.runs.items() if r.state == "training"}
    over = {k: r for k, r in snapshot.runs.items() if r.ended is not None}
    parts: list[RenderableType] = [_headline(snapshot, over, now)]
    if running and snapshot.is_running():
        parts.append(_training(running, now, wide=width >= _WIDE))
    if over:
        latest = sorted(over.items(), key=lambda item: -(item[1].ended or 0))[:_RECENT]
        parts.append(_ended(latest, len(over), store, wide=width >= _WIDE))
    return Group(*parts)


def _headline(snapshot: Snapshot, over: dict[str, RunProgress], now: float) -> Text:
    failed = sum(run.state == "failed" for run in over.values())
    finished = sum(run.state in ("done", "failed") for run in over.values())
    line = Text(f"{snapshot.study}  ", style="bold")
    line.append(f"{finished} of {snapshot.total} runs over", style="default")
    if failed:
        line.append(f", {failed} failed", style="red")
    spent = (snapshot.updated if snapshot.ended else now) - snapshot.started
    if snapshot.ended:
        line.append(f", ended after {clock(spent)}", style="default")
    elif not snapshot.is_running():
        line.append(", its process is gone; the same command goes on", style="red")
    else:
        line.append(f", running for {clock(spent)}", style="default")
        done = sum(min(run.step / run.steps, 1.0) for run in snapshot.runs.values())
        if done > 0.1:
            left = spent / done * (snapshot.total - done)
            line.append(f", about {clock(left)} left", style="default")
        silent = now - snapshot.updated
        if silent > 60:
            line.append(f", no news for {clock(silent)}", style="yellow")
    return line


def _training(runs: dict[str, RunProgress], now: float, *, wide: bool) -> Table:
    heads = ["", "step", "loss", "", "active", "steps/s"] if wide else ["done", "loss", "active"]
    table = _table("training", heads)
    names = shortened({key: run.name for key, run in runs.items()})
    for key, run in runs.items():
        spent = max(now - run.started, 1e-9)
        evaluating = run.step >= run.steps
        rate = f"{run.step / spent:.0f}" if run.step and not evaluating else ""
        loss = f"{run.losses[-1]:.1f}" if run.losses else "compiling"
        active = "" if run.active_units is None else str(run.active_units)
        first = (key[:8], Text(names[key]))
        if wide:
            done = "evaluating" if evaluating else f"{run.step:,}/{run.steps:,}"
            bar = ProgressBar(run.steps, run.step, width=16)
            table.add_row(*first, bar, done, loss, curve(run.losses), active, rate)
        else:
            done = "evaluating" if evaluating else f"{run.step / run.steps:.0%}"
            table.add_row(*first, done, loss, active)
    return table


def _table(title: str, heads: Sequence[str]) -> Table:
    """Return a table of runs, one line each; of names, which come second, the end may be cut."""
    table = Table(Column(title, no_wrap=True), box=None, padding=(0, 1, 0, 0))
    table.add_column("run", no_wrap=True, overflow="ellipsis", ratio=1)
    for head in heads:
        table.add_column(head, no_wrap=True)
    table.expand = True
    return table


def shortened(names: Mapping[str, str]) -> dict[str, str]:
    """Return names of runs without the parameters of their parts, where they still differ.

    >>> shortened({"a": "student_t(df=10.0) · seed 0", "b": "laplace · seed 0"})
    {'a': 'student_t · seed 0', 'b': 'laplace · seed 0'}
    """
    short = {key: re.sub(r"\([^()]*\)", "", name) for key, name in names.items()}
    return short if len(set(short.values())) == len(set(names.values())) else dict(names)


def _ended(
    runs: Sequence[tuple[str, RunProgress]], count: int, store: Store, *, wide: bool
) -> RenderableType:
    some = ["active", "ELBO", "settled"]
    table = _table("over", ["state", *some, "took"] if wide else some)
    names = shortened({key: run.name for key, run in runs})
    below = []
    for key, run in runs:
        folder = store.run(key)
        failed = run.state == "failed"
        known = not failed and (folder.path / "metrics.json").exists()
        scores = folder.metrics()["scores"] if known else {}
        elbo = f"{scores['elbo']:.1f}" if "elbo" in scores else ""
        state = Text(run.state, style="red" * failed)
        cells: list[str | Text] = [
            f"{scores['used_units']:.0f}" if "used_units" in scores else "",
            elbo if wide or known else state,
            _settled(folder.settled()) if known else "",
        ]
        if wide:
            cells = [state, *cells, clock((run.ended or run.started) - run.started)]
        table.add_row(key[:8], Text(names[key]), *cells)
        if failed:
            below.append(Text(f"{key[:8]} failed: {run.reason}", style="red"))
    if count > len(runs):
        below.append(Text(f"the last {len(runs)} of {count}"))
    return Group(table, *below)


def _settled(settled: Settled) -> str:
    """Return whether a run has settled; `study status` says why one has not."""
    return {True: "yes", False: f"no{MARK}", None: f"not known{MARK}"}[settled.yes]


def curve(values: Sequence[float], width: int = _CURVE) -> str:
    """Return a curve of block characters.

    >>> curve([3.0, 2.0, 1.0], 3)
    '█▅▁'
    """
    if not values:
        return ""
    chosen = [values[i * len(values) // width] for i in range(width)]
    chosen = list(values) if len(values) <= width else chosen
    low, high = min(chosen), max(chosen)
    scale = (len(_BLOCKS) - 1) / (high - low) if high > low else 0.0
    return "".join(_BLOCKS[round((value - low) * scale)] for value in chosen)


def clock(seconds: float) -> str:
    """Return a duration in words.

    >>> clock(3.2), clock(125), clock(7300)
    ('3 s', '2 min 05 s', '2 h 01 min')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
