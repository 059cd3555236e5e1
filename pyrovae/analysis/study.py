"""All metrics of a study, compared and kept.

::

    results/<study>/analysis/analysis.json     how, and whether each metric's chains passed
                             <metric>.nc        posterior draws (ArviZ)
                             summary.csv        az.summary of all parameters
                             cells.csv          posterior mean, interval and P(best) of each cell
                             levels.csv         the same for each level of each factor
                             contrasts.csv      differences of levels: intervals, P(better), ROPE
                             within.csv         the same in each cell of the other factors
                             effects.csv        main effects and two-way interactions
                             bootstrap.csv      means and interquartile means, stratified bootstrap
                             improvement.csv    P(a run of a exceeds a run of b)
                             profiles.csv       performance profiles

Each table has a column ``unsettled``: how many of the runs that it is about have not settled.
A metric whose chains did not pass is in ``analysis.json`` and ``summary.csv``, and in no table of
conclusions.
"""

from __future__ import annotations

import importlib.metadata
import json
import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from pyrovae.analysis import bootstrap
from pyrovae.analysis.active import of_all
from pyrovae.analysis.factors import split_factors
from pyrovae.analysis.fit import TOTAL, NothingToCompare, fit
from pyrovae.analysis.metrics import comparable, describe
from pyrovae.analysis.posterior import CellPosterior
from pyrovae.analysis.sampling import NoStart, Sampling
from pyrovae.core import atomic
from pyrovae.core.companions import end_with_parent
from pyrovae.core.digest import short_digest
from pyrovae.core.errors import ConfigError, did_you_mean
from pyrovae.core.reading import read_json, reading
from pyrovae.measures import arviz as inference_data
from pyrovae.measures.scores import Score, score_of
from pyrovae.study.store.results import StudyResults

#: Packages whose version may change a number.
_PACKAGES = ("pyrovae", "torch", "pyro-ppl", "arviz", "numpy")
#: Fields of ``analysis.json`` that reports read.
_ABOUT = {"factors": list, "digest": str, "metrics": dict}
#: What helps against a file that is damaged.
_AGAIN = "`pyrovae study analyse` makes it again"
_POSTERIOR = ("cells", "levels", "contrasts", "within", "effects")
_BOOTSTRAP: dict[str, Callable[..., pd.DataFrame]] = {
    "bootstrap": bootstrap.aggregates,
    "improvement": bootstrap.improvements,
    "profiles": bootstrap.profiles,
}


@dataclass(frozen=True)
class StudyAnalysis:
    """The analysis of a study, as stored.

    Attributes
    ----------
    root
        Its folder.
    about
        Content of ``analysis.json``.
    fresh
        Whether the study's runs are those that were analysed.
    """

    root: Path
    about: dict[str, Any]
    fresh: bool

    @property
    def factors(self) -> list[str]:
        """What cells differ in."""
        return self.about["factors"]

    def metrics(self) -> list[str]:
        """Return the metrics whose chains passed."""
        return [key for key, entry in self.about["metrics"].items() if entry["status"] == "passed"]

    def refused(self) -> dict[str, str]:
        """Return the metrics without conclusions, with the reason."""
        entries = self.about["metrics"].items()
        return {key: entry["reason"] for key, entry in entries if entry["status"] != "passed"}

    @property
    def unsettled(self) -> str:
        """What was said of the runs that had not settled; empty if all had."""
        said: str = self.about.get("unsettled", {}).get("told", "")
        return said

    def table(self, name: str) -> pd.DataFrame:
        """Return one of the tables (see the module) by its name."""
        path = self.root / f"{name}.csv"
        if not path.exists():
            return pd.DataFrame(columns=["metric"])
        with reading(path, "a table of an analysis", _AGAIN):
            return pd.read_csv(path)

    def posterior(self, metric: str) -> inference_data.InferenceData:
        """Return a metric's draws."""
        path = self.root / f"{score_of(metric).file_stem}.nc"
        with reading(path, "a file of draws", _AGAIN):
            return inference_data.load(path)


def analyse(
    study: StudyResults,
    *,
    metrics: Sequence[str] = (),
    rope: Mapping[str, float] | None = None,
    sampling: Sampling | None = None,
    unsettled: bool = False,
    workers: int = 1,
    progress: Callable[[str], None] = lambda line: None,
) -> StudyAnalysis:
    """Compare the cells of a study in each metric, and store the comparison.

    Parameters
    ----------
    study
        With at least two cells and two seeds.
    metrics
        Columns of its runs; by default all that :func:`pyrovae.analysis.metrics.comparable` names.
    rope
        Half widths of the regions of practical equivalence, instead of the defaults.
    sampling
        How NUTS is run.
    unsettled
        Whether to conclude from runs that have not settled too; the analysis remembers them.
    workers
        Processes; metrics are shared out among them.
    progress
        Called with a line at the start, and one for each metric that is finished.

    Raises
    ------
    ConfigError
        For a metric that no run has.
    NotSettled
        If a run has not settled, unless ``unsettled``.
    """
    sampling, rope = sampling or Sampling(), dict(rope or {})
    runs, factors = table_of(study)
    wanted = list(metrics) or comparable(runs)
    for key in (*wanted, *rope):
        if key not in runs or not pd.api.types.is_numeric_dtype(runs[key]):
            known = [k for k in runs.columns if pd.api.types.is_numeric_dtype(runs[k])]
            raise ConfigError(f"no run has the metric '{key}'{did_you_mean(key, known)}")
    study.settling.require(unsettled=unsettled)
    open_runs = list(study.settling.unsettled)
    described = {
        # What is told of a score holds of the active units alone as well.
        key: describe(key, runs[key], rope=rope.get(key, rope.get(of_all(key))))
        for key in wanted
    }
    found: dict[str, CellPosterior | str] = {}
    tasks = {key: (runs, metric, factors, sampling) for key, metric in described.items()}
    progress(
        f"{len(tasks)} metrics of {len(runs)} runs, {sampling.chains} chains of "
        f"{sampling.warmup} + {sampling.draws} each: some seconds to minutes for one"
    )
    for key, result in _shared_out(tasks, workers):
        found[key] = result
        said = result if isinstance(result, str) else (result.convergence.reason or "passed")
        progress(f"[{len(found)}/{len(tasks)}] {key}: {said}")
    found = {key: found[key] for key in described}
    root = study.store.root / "analysis"
    with atomic.folder(root) as made:
        for name, table in _tables(runs, factors, found, described, sampling.seed).items():
            marked = table.assign(unsettled=len(open_runs))
            marked.to_csv(made / f"{name}.csv", index=False)
        for key, result in found.items():
            if isinstance(result, CellPosterior):
                inference_data.save(result.data, made / f"{score_of(key).file_stem}.nc")
        about = {
            "study": study.name,
            "factors": factors,
            "runs": len(runs),
            "unsettled": {"runs": open_runs, "told": study.settling.told},
            "digest": digest(runs, factors, described),
            "sampling": asdict(sampling),
            "level": bootstrap.LEVEL,
            "bootstrap": bootstrap.REPETITIONS,
            "metrics": {key: _entry(found[key], described[key]) for key in described},
            "versions": {name: importlib.metadata.version(name) for name in _PACKAGES},
        }
        (made / "analysis.json").write_text(json.dumps(about, indent=1))
    return StudyAnalysis(root, about, True)


def load_analysis(study: StudyResults) -> StudyAnalysis | None:
    """Return the stored analysis of a study; ``None`` if there is none."""
    root = study.store.root / "analysis"
    path = root / "analysis.json"
    if not path.exists():
        return None
    about = read_json(path, "an analysis", _ABOUT, advice=_AGAIN)
    runs, factors = table_of(study)
    same = about["digest"] == digest(runs, factors, about["metrics"])
    return StudyAnalysis(root, about, same)


def table_of(study: StudyResults) -> tuple[pd.DataFrame, list[str]]:
    """Return a study's runs and its factors, which tell its cells apart."""
    factors, _ = split_factors(study.runs, study.varying())
    return study.runs, factors


def _shared_out(
    tasks: Mapping[str, tuple[Any, ...]], workers: int
) -> Iterator[tuple[str, CellPosterior | str]]:
    """Yield key and result of each task, as they are done."""
    if workers == 1 or len(tasks) == 1:
        yield from ((key, _compare(task)) for key, task in tasks.items())
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(tasks)), context, _begin) as pool:
        keys = {pool.submit(_compare, task): key for key, task in tasks.items()}
        for done in as_completed(keys):
            yield keys[done], done.result()


def _begin() -> None:
    end_with_parent()
    torch.set_num_threads(1)


def _compare(task: tuple[pd.DataFrame, Score, list[str], Sampling]) -> CellPosterior | str:
    runs, metric, factors, sampling = task
    try:
        return fit(runs, metric, factors, sampling=sampling)
    except (NothingToCompare, NoStart) as reason:
        return str(reason)


def _tables(
    runs: pd.DataFrame,
    factors: list[str],
    found: Mapping[str, CellPosterior | str],
    described: Mapping[str, Score],
    seed: int,
) -> dict[str, pd.DataFrame]:
    tables: dict[str, list[pd.DataFrame]] = {}

    def add(name: str, key: str, table: pd.DataFrame) -> None:
        table.insert(0, "metric", key)
        tables.setdefault(name, []).append(table)

    for key, result in found.items():
        # Each metric gets a generator of its own: its numbers do not depend on its neighbours.
        rng = np.random.default_rng([seed, *key.encode()])
        for name, compute in _BOOTSTRAP.items():
            if described[key].key in runs and factors:
                add(name, key, compute(runs, key, factors, rng))
        if isinstance(result, str):
            continue
        add("summary", key, inference_data.parameter_summary(result.data))
        if result.convergence.passed:
            for name in _POSTERIOR:
                add(name, key, getattr(result, name)())
    return {name: pd.concat(parts, ignore_index=True) for name, parts in tables.items()}


def _entry(result: CellPosterior | str, metric: Score) -> dict[str, Any]:
    about: dict[str, Any] = {
        "kind": metric.kind,
        "better": metric.better,
        "rope": metric.equivalence,
    }
    if isinstance(result, str):
        return {**about, "status": "skipped", "reason": result}
    reason = result.convergence.reason
    return {
        **about,
        "status": "refused" if reason else "passed",
        "reason": reason,
        "convergence": asdict(result.convergence),
    }


def digest(runs: pd.DataFrame, factors: Iterable[str], metrics: Iterable[str]) -> str:
    """Return a hash of all that a comparison depends on: not of scores that others add."""
    columns = dict.fromkeys(["run", *factors, TOTAL, *metrics])
    used = runs.reindex(columns=list(columns))
    return short_digest(used.to_csv(index=False))
