"""Tutorials, examples and scripts run in their short form, and show what their blocks show."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from pyrovae.report.diagnosis.report import FIGURES as OF_DIAGNOSIS
from pyrovae.report.run.collapse import FIGURES as OF_COLLAPSE
from pyrovae.report.study.gallery import BY_EXTRAS, KINDS

DOCS = Path(__file__).parents[2] / "docs"
PAGES = [*sorted(DOCS.glob("tutorials/*.md")), *sorted(DOCS.glob("examples/*.md"))]
#: Of a picture in the repository.
_SMALL = 60_000

FOREIGN = """
from torch import nn

class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = nn.Linear(64, 8), nn.Linear(4, 64)

    def encode(self, x):
        return self.encoder(x).chunk(2, -1)

    def decode(self, z):
        return self.decoder(z)
"""


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    monkeypatch.syspath_prepend(DOCS / "_build")
    monkeypatch.chdir(tmp_path)
    import pages

    return pages


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_shows_what_its_blocks_give(pages: ModuleType, page: Path):
    pictures = 0
    for shown in pages.run(page, short=True):
        if shown.block["told"] is not None:
            assert shown.block["told"].strip()
            assert shown.told.strip(), shown.block["code"]
        if shown.block["picture"]:
            assert pages.figure_of(shown.value) is not None, shown.block["code"]
            assert 0 < (page.parent / shown.block["picture"]).stat().st_size < _SMALL
            pictures += 1
    # Each picture of the page is one that a block has drawn.
    assert pictures == page.read_text().count("](../images/") > 0


def test_the_scripts_have_ten_lines_and_run(
    pages: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.syspath_prepend(tmp_path)
    Path("my_vae.py").write_text(FOREIGN)
    namespace: dict[str, Any] = {}
    exec(FOREIGN, namespace)
    torch.save(namespace["VAE"]().state_dict(), "trained.pt")
    np.save("images.npy", np.random.default_rng(0).random((100, 64)))
    told = {}
    for shown in pages.run(DOCS / "scripts.md", short=True):
        lines = [line for line in shown.block["code"].splitlines() if line.strip()]
        assert len(lines) <= 10
        told[shown.block["title"]] = shown.told
    assert "of 16 units used" in told["train.py"]
    assert "__main__:Cauchy" in told["cauchy.py"]
    assert "of 16 units used" in told["objective.py"]
    assert "active units: " in told["foreign.py"]
    assert "points pass the gate" in told["foreign.py"]
    assert Path("sweep.pdf").stat().st_size > 1000


def test_a_page_is_run_as_it_says(pages: ModuleType):
    page = Path("a-page.md")
    page.write_text(
        "<!-- short: 40 -> 2; 1 + -> 2 + -->\n```python\nx = 40\nprint('x')\n1 + x\n```\n\n"
        "```text\nold\n```\n\n"
        '```python title="own.py"\nassert "x" not in globals()\nprint(__name__)\n```\n'
    )
    names: dict[str, Any] = {}
    first, second = pages.run(page, short=True, names=names)
    assert (first.told, first.value, second.told) == ("x\n4\n", 4, "__main__\n")
    assert (names["x"], names["__name__"]) == (2, "a_page")
    pages.renew(page)
    assert "```text\nx\n41\n```\n" in page.read_text()
    page.write_text("<!-- short: skip -->\n```python\n1 / 0\n```\n")
    assert list(pages.run(page, short=True)) == []
    page.write_text("<!-- short: 5 -> 6 -->\n```python\nx = 40\n```\n")
    with pytest.raises(ValueError, match="'5' is not in"):
        list(pages.run(page, short=True))


def test_every_figure_is_in_the_gallery(pages: ModuleType):
    import gallery

    entries = [
        gallery.Entry(*e) for e in json.loads((gallery.PICTURES / "gallery.json").read_text())
    ]
    named = {group: {e.name for e in entries if e.group == group} for group in gallery.GROUPS}
    assert named["study"] == set(KINDS) - BY_EXTRAS
    assert len(named["collapse"]) == len(OF_COLLAPSE)
    assert named["diagnosis"] == set(OF_DIAGNOSIS)
    assert named["capacity"] == {"capacity"}
    made = gallery.page()
    for entry in entries:
        assert entry.call in made
        large = 4 if entry.kind == "gif" else 1
        assert 0 < (gallery.PICTURES / entry.picture).stat().st_size < large * _SMALL
    assert named["compare"] == {"comparison"}
    assert {"traversals-1", "traversals", "factors", "interpolations"} <= named["traverse"]
    pictures = {path.name for path in gallery.PICTURES.iterdir() if path.suffix != ".json"}
    assert pictures == {entry.picture for entry in entries}


@pytest.mark.slow
def test_arviz_and_seaborn_take_what_a_study_holds(pages: ModuleType):
    assert len(list(pages.run(DOCS / "arviz-and-seaborn.md", short=True))) > 4
