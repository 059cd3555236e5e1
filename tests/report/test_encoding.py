"""Which label takes which role."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

from matplotlib.colors import to_hex

from pyrovae.report.look.drawn import Drawn
from pyrovae.report.look.encoding import encode
from pyrovae.report.look.presented import present
from pyrovae.report.look.style import palette
from pyrovae.report.study.gallery import draw
from pyrovae.study.store.results import StudyResults
from report.made import POSTERIORS, PRIORS, make_study


def test_prior_comes_first_then_posterior(main_study: StudyResults) -> None:
    encoding = encode(main_study)
    assert (encoding.first, encoding.second, encoding.others) == ("prior", "posterior", ())
    assert encoding.levels["prior"] == list(PRIORS)
    assert encoding.levels["posterior"] == list(POSTERIORS)


def test_nothing_varies(lone_study: StudyResults) -> None:
    encoding = encode(lone_study)
    assert (encoding.first, encoding.second, encoding.others) == ("prior", None, ())
    assert len(encoding.colours()) == 1


def test_numbers_are_sorted_and_data_sets_make_the_panels(tmp_path: Path) -> None:
    study = make_study(
        tmp_path / "s",
        seeds=1,
        dataset=["sprites", "digits"],
        latent_dim=[16, 2, 8],
        prior=PRIORS[:2],
    )
    encoding = encode(study)
    assert encoding.labels == ["prior", "latent_dim", "dataset"]
    assert encoding.levels["latent_dim"] == [2, 8, 16]
    titles = [title for title, _ in encoding.panels(study.runs, encoding.others)]
    assert titles == ["sprites", "digits"]


def test_of_labels_changed_one_at_a_time_that_with_most_values_is_first(tmp_path: Path) -> None:
    objectives = ["elbo", "free_bits", "iwae", "dip_i", "dip_ii"]
    full = make_study(
        tmp_path / "s", seeds=1, prior=PRIORS[:2], posterior=POSTERIORS[:2], objective=objectives
    )
    assert encode(full).labels == ["prior", "posterior", "objective"]
    usual = {"prior": PRIORS[0], "posterior": POSTERIORS[0], "objective": "elbo"}
    changed = sum((full.runs[label] != value).astype(int) for label, value in usual.items())
    alone = StudyResults("alone", "", full.runs[changed <= 1], {}, [], full.store)
    assert encode(alone).labels == ["objective", "prior", "posterior"]


def test_a_label_that_goes_along_takes_no_role(tmp_path: Path) -> None:
    zipped = [
        {"prior": "standard_normal", "posterior": "mean_field_normal"},
        {"prior": "laplace", "posterior": "laplace"},
    ]
    study = make_study(tmp_path / "zipped", seeds=3, units=8, cells=zipped)
    encoding = encode(study)
    assert encoding.labels == ["prior"]
    assert encoding.tied == {
        "posterior": "mean-field normal with standard normal; Laplace with Laplace"
    }
    (drawn,) = draw(present(study), "active_units")
    assert "mean-field normal with standard normal" in drawn.caption


def test_a_default_is_said_next_to_other_values(tmp_path: Path) -> None:
    betas = [{"name": "beta", "beta": 1.0}, {"name": "beta"}]
    alike = encode(make_study(tmp_path / "alike", seeds=1, objective=betas))
    assert list(alike.shown["objective"].values()) == ["β = 1", "β = 4"]
    mixed = encode(make_study(tmp_path / "mixed", seeds=1, objective=["elbo", *betas]))
    assert list(mixed.shown["objective"].values()) == ["ELBO", "beta (β = 1)", "beta (β = 4)"]


def test_a_prior_has_one_colour_in_all_figures(
    main_study: StudyResults, main_figure: Callable[[str], Drawn]
) -> None:
    expected = {to_hex(colour) for colour in encode(main_study).colours().values()}
    assert len(expected) == len(PRIORS)
    for kind in ("kl_profile", "evolution"):
        drawn = main_figure(kind)
        for ax in drawn.figure.axes:
            colours = {to_hex(line.get_color()) for line in ax.get_lines() if len(line.get_xdata())}
            assert not colours or colours == expected
    drawn = main_figure("rate_distortion")
    points = drawn.figure.axes[0].collections[0]
    assert {to_hex(colour) for colour in points.get_facecolors()} == expected


def test_first_six_colours_differ_for_every_eye() -> None:
    colours = palette(6)
    for matrix in _MACHADO.values():
        seen = [_lab(_simulated(colour, matrix)) for colour in colours]
        for a, b in itertools.combinations(seen, 2):
            assert sum((x - y) ** 2 for x, y in zip(a, b, strict=True)) ** 0.5 > 10


#: Machado, Oliveira and Fernandes 2009, severity 1, on linear RGB.
_MACHADO = {
    "normal": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}


def _simulated(colour, matrix):
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return [min(max(sum(m * c for m, c in zip(row, linear, strict=True)), 0), 1) for row in matrix]


def _lab(linear):
    """CIE L*a*b* (D65) of linear sRGB: distances are about what is seen."""
    r, g, b = linear
    xyz = (
        (0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.9505,
        0.2126 * r + 0.7152 * g + 0.0722 * b,
        (0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.089,
    )
    f = [t ** (1 / 3) if t > 0.008856 else 7.787 * t + 16 / 116 for t in xyz]
    return 116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])
