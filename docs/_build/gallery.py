"""The gallery: every figure once, of a small study, with the call that makes it.

``python docs/_build/gallery.py`` trains the study and draws the pictures anew, in some minutes; the
page is made from what that leaves. ``python docs/_build/gallery.py settling samples`` draws some
figures of a study alone, which need neither a comparison nor a diagnosis.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pages

PICTURES = Path(__file__).parents[1] / "images" / "gallery"
#: What the pictures are of: two priors, two posterior families, two weights of the rate.
STUDY: dict[str, Any] = {
    "name": "gallery",
    "base": {
        "dataset": {"name": "sprites", "size": 16, "n_train": 2000, "n_test": 500},
        "network": {"name": "mlp", "hidden": [64]},
        "likelihood": "bernoulli",
        "objective": "elbo",
        "latent_dim": 8,
        "training": {"steps": 400, "batch_size": 64, "records": 5},
        "evaluation": {
            "points": 300,
            "metrics": ["mig", "modularity", {"name": "dci", "learner": "lasso"}, "factor_vae"],
            "guide_draws": {"points": 10, "draws": 100},
        },
    },
    "grid": {
        "prior": ["standard_normal", "laplace"],
        "posterior": ["mean_field_normal", "full_rank_normal"],
    },
    "seeds": 2,
}
_DIAGNOSIS = {"points": 6, "warmup": 400, "draws": 600, "temperatures": 50, "simulations": 100}
#: Linear VAEs on data whose principal variances are known.
LINEAR: dict[str, Any] = {
    "name": "linear",
    "base": {
        "dataset": {"name": "linear_gaussian", "rank": 5, "dim": 12, "n_train": 2000, "n_test": 500},
        "network": {"name": "mlp", "hidden": []},
        "prior": "standard_normal",
        "posterior": "mean_field_normal",
        "likelihood": {"name": "gaussian", "sigma": 0.3, "learned": False},
        "objective": "elbo",
        "latent_dim": 8,
        "training": {"steps": 400, "batch_size": 128, "lr": 1e-2, "records": 3},
        "evaluation": {"points": 500, "metrics": []},
    },
}


#: Two layers of codes, and one.
LAYERED: dict[str, Any] = {
    "name": "layered",
    "base": {
        "dataset": {"name": "digits"},
        "network": {"name": "mlp", "hidden": [64]},
        "prior": "standard_normal",
        "posterior": "mean_field_normal",
        "likelihood": "bernoulli",
        "objective": "elbo",
        "training": {"steps": 600, "batch_size": 64, "records": 6},
        "evaluation": {"points": 300, "metrics": []},
    },
    "grid": {"layers": [{"sizes": [8, 4, 2]}, {"sizes": [8, 4, 2], "guide": "ladder"}]},
    "seeds": 1,
}


#: Labels that are drawn, and labels of the nearest codewords.
DISCRETE: dict[str, Any] = {
    "name": "discrete",
    "base": {
        "dataset": {"name": "digits", "binarize": "static"},
        "network": {"name": "mlp", "hidden": [64]},
        "likelihood": "bernoulli",
        "objective": "elbo",
        "latent_dim": 6,
        "prior": {"name": "categorical", "classes": 12},
        "training": {"steps": 1000, "batch_size": 64, "lr": 2e-3, "records": 4},
        "evaluation": {"points": 300, "metrics": []},
    },
    "grid": {
        "posterior": [
            {"name": "vector_quantized", "classes": 12},
            {"name": "categorical", "classes": 12},
        ]
    },
    "seeds": 1,
}


#: Of the one picture that has no caption of its own.
_MOVING = "All of these test images side by side, each unit sweeping through its range and back."


class Entry(NamedTuple):
    """A figure of the gallery."""

    group: str
    name: str
    call: str
    caption: str
    kind: str = "png"

    @property
    def picture(self) -> str:
        """Its file, in :data:`PICTURES`."""
        return f"{self.group}-{self.name}.{self.kind}".replace("_", "-").replace(" ", "-")


GROUPS = {
    "study": ("A study", 'study = pyrovae.load_study("results/gallery")'),
    "collapse": ("One model", "report = pyrovae.collapse(vae, x)  # or of a stored run"),
    "diagnosis": ("A guide", "report = pyrovae.diagnose(vae, x)  # or of a stored run"),
    "capacity": ("A search for a size", "report = pyrovae.capacity(x)"),
    "traverse": ("What each unit does", ""),
    "compare": ("Cells by held-out log p(x)", ""),
    "claims": ("The claims of the seed papers", ""),
}
#: Figures that commands write, and the command of each; it is run as it stands.
COMMANDS = {
    "traverse": "pyrovae traverse RUN --points 2 --units 4",
    "compare": "pyrovae study compare gallery --points 100 --samples 32 --unsettled",
    "claims": "pyrovae claims run --quick --unsettled --no-compile --set training.steps=300",
}


def page() -> str:
    """Return the gallery as Markdown."""
    parts = [
        "# Gallery",
        "Every figure, with the call that makes it and the caption that it drafts of itself. What a "
        "call returns is a Matplotlib figure, to change and to save. The pictures are of "
        "small studies, made for this page: they show form, not findings. Where a command is given, "
        "it writes the picture.",
    ]
    known = [Entry(*entry) for entry in json.loads((PICTURES / "gallery.json").read_text())]
    for group, (title, before) in GROUPS.items():
        parts += [f"## {title}", *([f"```python\n{before}\n```"] if before else [])]
        for entry in (e for e in known if e.group == group):
            language = "sh" if group in COMMANDS else "python"
            parts += [
                f"### {entry.name.replace('_', ' ').replace('-', ' ').capitalize()}",
                f"```{language}\n{entry.call}\n```",
                f"![{entry.name}](images/gallery/{entry.picture})",
                entry.caption.replace("*", r"\*").replace("_", r"\_"),
            ]
    return "\n\n".join(parts) + "\n"


def make() -> None:
    """Train what is shown, and write pictures and captions."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    for old in (*PICTURES.glob("*.png"), *PICTURES.glob("*.gif")):
        old.unlink()
    entries = []
    for entry, figure in _drawn():
        pages.save(figure, PICTURES / entry.picture)
        entries.append(entry)
        print(entry.name, flush=True)
    for entry, file in _written():
        _shrink(file, PICTURES / entry.picture)
        entries.append(entry)
        print(entry.name, flush=True)
    _keep(entries)


def renew(kinds: Iterable[str]) -> None:
    """Train the study, and draw some of its figures anew; all others stay as they are."""
    import pyrovae
    from pyrovae.report.look.presented import present
    from pyrovae.report.study.gallery import KINDS, draw

    known = [Entry(*entry) for entry in json.loads((PICTURES / "gallery.json").read_text())]
    for kind in kinds:
        of = DISCRETE if kind == "label_usage" else STUDY
        study = pyrovae.run_study(of, progress=False)
        found = next(iter(draw(present(study, unsettled=True), kind)))
        entry = Entry("study", kind, f'study.figure("{kind}")', found.caption)
        pages.save(found, PICTURES / entry.picture)
        known = [each for each in known if each[:2] != entry[:2]] + [entry]
    order = list(KINDS)
    of_study = sorted((e for e in known if e.group == "study"), key=lambda e: order.index(e.name))
    _keep([*of_study, *(entry for entry in known if entry.group != "study")])


def _keep(entries: Sequence[Entry]) -> None:
    text = json.dumps(entries, indent=1, ensure_ascii=False) + "\n"
    (PICTURES / "gallery.json").write_text(text)


def _drawn() -> Iterator[tuple[Entry, Any]]:
    import torch

    import pyrovae
    from pyrovae.analysis import Sampling
    from pyrovae.analysis.study import analyse
    from pyrovae.report.look.drawn import NothingToDraw
    from pyrovae.report.look.presented import present
    from pyrovae.report.study.gallery import BY_EXTRAS, KINDS, draw
    from pyrovae.study.store.results import load_finished

    study = pyrovae.run_study(STUDY, progress=False)
    torch.set_num_threads(1)  # the comparison's tensors are tiny
    analyse(
        load_finished(Path("results"), "gallery"),
        metrics=("elbo", "mig"),
        sampling=Sampling(draws=300, warmup=150),
        unsettled=True,
        progress=print,
    )
    first = study.runs.groupby(["prior", "posterior"])["run"].first()
    reports = [pyrovae.diagnose(study.run(run), progress=False, **_DIAGNOSIS) for run in first[:2]]
    twofold = _twofold()
    betas = [{"name": "beta", "beta": beta} for beta in (2.0, 5.0, 16.0, 40.0)]
    theory = pyrovae.run_study({**LINEAR, "grid": {"objective": betas}}, progress=False)
    sizes = {**LINEAR, "name": "sizes"}
    capacity = pyrovae.capacity(sizes, seeds=1, trainings=4, unsettled=True, progress=False)
    searched = pyrovae.load_study("results/sizes-capacity")
    layered = pyrovae.run_study(LAYERED, progress=False)
    discrete = pyrovae.run_study(DISCRETE, progress=False)
    for kind in (kind for kind in KINDS if kind not in BY_EXTRAS):
        for source in (study, theory, searched, layered, discrete):
            with suppress(NothingToDraw):
                found = next(iter(draw(present(source, unsettled=True), kind)))
                yield Entry("study", kind, f'study.figure("{kind}")', found.caption), found
                break
        else:
            raise NothingToDraw(f"no study of the gallery has what '{kind}' shows")
    collapse = pyrovae.collapse(study.run(first.iloc[0]))
    for group, drawn in {
        "collapse": collapse.drawn(),
        "diagnosis": [
            *reports[0].drawn(),
            *(found for found in twofold.drawn() if found.name == "modes"),
        ],
        "capacity": capacity.drawn(),
    }.items():
        yield from _of_report(group, drawn)


def _written() -> Iterator[tuple[Entry, Path]]:
    """Run each of :data:`COMMANDS`; yield what it writes."""
    run = next(Path("results/gallery/runs").iterdir()).name
    folders = {
        "traverse": f"gallery/traverse/{run}",
        "compare": "gallery/diagnostics",
        "claims": "claims-quick/figures",
    }
    for group, command in COMMANDS.items():
        words = command.replace("RUN", run).split()
        subprocess.run([sys.executable, "-m", *words], check=True)
        folder = Path("results") / folders[group]
        for picture in sorted((*folder.glob("*.png"), *folder.glob("*.gif"))):
            told = picture.with_suffix(".txt")
            if group == "compare" and picture.stem != "comparison":
                continue
            caption = told.read_text().strip() if told.exists() else _MOVING
            yield Entry(group, picture.stem, command, caption, picture.suffix[1:]), picture


def _shrink(picture: Path, to: Path) -> None:
    """Copy a picture at half its size: few colours are enough, of what moves very few."""
    from PIL import Image, ImageSequence

    with Image.open(picture) as opened:
        size = (opened.width // 2, opened.height // 2)
        frames = [frame.convert("RGB").resize(size) for frame in ImageSequence.Iterator(opened)]
        few = [frame.quantize(64 if len(frames) == 1 else 16, dither=0) for frame in frames]
        more = {"append_images": few[1:], "duration": opened.info.get("duration", 90), "loop": 0}
        few[0].save(to, optimize=True, save_all=len(few) > 1, **(more if len(few) > 1 else {}))


def _twofold() -> Any:
    """Return the diagnosis of x = z² + noise, whose posterior has a mode on either side of 0."""
    import pyro.distributions as dist
    import torch

    import pyrovae

    torch.manual_seed(0)
    vae = pyrovae.wrap(
        torch.nn.Linear(2, 4),
        lambda z: dist.Normal(z**2, 0.3).to_event(1),
        latent_dim=2,
    )
    return pyrovae.diagnose(vae, torch.randn(50, 2) ** 2, progress=False, **_DIAGNOSIS)


def _of_report(group: str, drawn: Iterable[Any]) -> Iterator[tuple[Entry, Any]]:
    for found in drawn:
        call = f'report.figures()["{found.name}"]'
        yield Entry(group, found.name, call, found.caption), found


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        renew(sys.argv[1:]) if sys.argv[1:] else make()
