"""Publications are found where texts name them, and BibTeX takes them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from pyrovae.measures.disentanglement import METRICS
from pyrovae.report.look.presented import present
from pyrovae.report.look.sources import bibliography, cited
from pyrovae.report.study.methods import latex_methods, methods, references
from pyrovae.study.config.resolve import REGISTRIES
from pyrovae.study.store.results import StudyResults
from pyrovae.training.optimizers import OPTIMIZERS
from report.latex import compiled


@pytest.mark.parametrize(
    ("text", "shorts"),
    [
        ("Kim & Mnih 2018, eq. 2 and algorithm 2; arXiv:1802.05983", ["Kim & Mnih 2018"]),
        # Two of one first author and year.
        ("Kim et al. 2018, algorithm 1; arXiv:1802.02550", ["Kim et al. 2018"]),
        ("Xiao, Rasul, Vollgraf (arXiv:1708.07747)", ["Xiao et al. 2017"]),
        ("LeCun, Bottou, Bengio, Haffner (Proc. IEEE 1998)", ["LeCun et al. 1998"]),
        ("of Asperti and Trentin (2020)", ["Asperti & Trentin 2020"]),
        (
            "(Lucas et al. 2019; Ichikawa & Hukushima 2024)",
            ["Lucas et al. 2019", "Ichikawa & Hukushima 2024"],
        ),
        (
            "Van den Oord et al. 2016, section 2.2, arXiv:1606.05328, and Dauphin et al. 2017, "
            "arXiv:1612.08083",
            ["Van den Oord et al. 2016", "Dauphin et al. 2017"],
        ),
        ("Matthey, Higgins, Hassabis, Lerchner (2017)", ["Matthey et al. 2017"]),
        ("Alpaydin, Kaynak (UCI repository 1998)", ["Alpaydin & Kaynak 1998"]),
        ("Gondal et al. (NeurIPS 2019)", ["Gondal et al. 2019"]),
        (
            "Profiles (Agarwal et al. 2021) of Equivalence (Kruschke 2018)",
            ["Agarwal et al. 2021", "Kruschke 2018"],
        ),
        # Another work than that of the same first author and year which is known.
        ("Burgess, Kim (2018); Kim, Mnih (ICML 2018)", ["Burgess & Kim 2018", "Kim & Mnih 2018"]),
        ("latent units of 5000 test images", []),
    ],
)
def test_names_are_found(text: str, shorts: list[str]) -> None:
    assert [source.short for source in cited(text)] == shorts


def test_each_source_of_a_family_becomes_an_entry() -> None:
    registries = (*REGISTRIES.values(), OPTIMIZERS, METRICS)
    sources = [
        (f"{registry.kind} {name}", registry.source(name))
        for registry in registries
        for name in registry
    ]
    without = [name for name, text in sources if re.search(r"\d{4}", text) and not cited(text)]
    assert without == []
    found = {source.key: source for _, text in sources for source in cited(text)}
    # One publication has one key, whoever cites it; one key is one publication.
    for source in found.values():
        assert re.fullmatch(r"[a-z0-9]+", source.key)
        assert source.entry.count("{") == source.entry.count("}")
    numbers = re.findall(r"eprint = \{([\d.]+)\}", bibliography(found.values()))
    assert len(numbers) == len(set(numbers))


def test_what_methods_cite_is_in_the_bibliography(main_study: StudyResults) -> None:
    presented = present(main_study)
    keys = {
        key
        for keys in re.findall(r"\\cite\{([^}]*)\}", latex_methods(presented))
        for key in keys.split(",")
    }
    file = references(presented, ["Profiles (Agarwal et al. 2021)."])
    entries = set(re.findall(r"^@\w+\{(\w+),", file, re.MULTILINE))
    assert {"kingma2014", "chen2018", "higgins2017"} & keys == {"kingma2014", "chen2018"}
    assert entries == keys | {"agarwal2021"}
    assert "standard normal (Kingma & Welling 2014)" in methods(presented)


@pytest.mark.skipif(shutil.which("bibtex") is None, reason="bibtex is not installed")
def test_latex_resolves_every_key(main_study: StudyResults, tmp_path: Path) -> None:
    presented = present(main_study)
    (tmp_path / "references.bib").write_text(references(presented))
    document = (
        r"\documentclass{article}\begin{document}"
        + latex_methods(presented)
        + r"\bibliographystyle{plain}\bibliography{references}\end{document}"
    )
    compiled(tmp_path, document)
    told = subprocess.run(["bibtex", "paper"], cwd=tmp_path, capture_output=True, text=True)
    assert told.returncode == 0, told.stdout
    assert "Warning" not in told.stdout.replace("empty journal", ""), told.stdout
    compiled(tmp_path, document)
    assert "undefined" not in compiled(tmp_path, document)
