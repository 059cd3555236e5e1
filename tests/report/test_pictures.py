"""Grids of images: each tile is in its place."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from pyrovae.report.look.drawn import NothingToDraw
from pyrovae.report.look.mosaics import blocks, mosaic
from pyrovae.report.look.presented import present
from pyrovae.report.run.traversals import traversals
from pyrovae.report.study.reconstructions import reconstructions
from pyrovae.report.study.samples import samples
from pyrovae.study.store.results import StudyResults
from report.made import PRIORS, make_study


def test_tiles_keep_their_place_and_colour() -> None:
    images = torch.zeros(2, 3, 3, 32, 40)
    images[1, 2, 0] = 1.0  # Red, in the lower right.
    canvas = mosaic(images)
    assert canvas.shape == (2 * 32 + 2, 3 * 40 + 4, 3)
    np.testing.assert_array_equal(canvas[-1, -1], [1, 0, 0])
    np.testing.assert_array_equal(canvas[0, 0], [0, 0, 0])
    np.testing.assert_array_equal(canvas[33, 0], [1, 1, 1])  # Between the rows.


def test_small_images_are_enlarged_without_blur() -> None:
    image = torch.rand(1, 1, 1, 8, 8)
    canvas = mosaic(image)
    assert canvas.shape == (32, 32, 3)
    np.testing.assert_array_equal(canvas[::4, ::4, 0], image[0, 0, 0].numpy())
    assert len(np.unique(canvas)) == 64


def test_values_outside_the_range_are_clipped() -> None:
    canvas = mosaic(torch.tensor([-3.0, 5.0]).reshape(1, 2, 1, 1, 1))
    np.testing.assert_array_equal(canvas[0, [0, -1], 0], [0, 1])


@pytest.mark.parametrize("shape", [(1, 1, 12), (1, 1, 2, 8, 8)])
def test_what_is_no_image_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(NothingToDraw):
        mosaic(torch.zeros(shape))


def test_an_empty_block_is_white() -> None:
    black = torch.zeros(1, 1, 1, 32, 32)
    canvas = blocks([[black, None], [black, black]])
    assert canvas[:32, -32:].min() == 1
    assert canvas[-32:, -32:].max() == 0


def test_traversal_rows_are_named_by_falling_kl(main_study: StudyResults) -> None:
    run = main_study.runs["run"].iloc[-1]
    drawn = traversals(present(main_study), run)
    (ax,) = drawn.figure.axes
    units = main_study.folder(run).units().sort_values("kl", ascending=False).head(8)
    expected = [
        f"unit {row.unit}, KL = {row.kl:.2f}{'' if row.active else chr(10) + 'inactive'}"
        for row in units.itertuples()
    ]
    assert [label.get_text() for label in ax.get_yticklabels()] == expected
    assert drawn.data["unit"].tolist() == units["unit"].tolist()
    assert [label.get_text() for label in ax.get_xticklabels()][::7] == ["5", "95"]
    canvas = ax.get_images()[0].get_array()
    tile = main_study.folder(run).images()["traversals"][3, 5, 0]
    np.testing.assert_allclose(canvas[3 * 34 : 3 * 34 + 32, 5 * 34 : 5 * 34 + 32, 0], tile)


def test_inactive_units_look_different(lone_study: StudyResults, small_study: StudyResults) -> None:
    for run in small_study.runs["run"]:
        (ax,) = traversals(present(small_study), run).figure.axes
        styles = [label.get_fontstyle() for label in ax.get_yticklabels()]
        units = small_study.folder(run).units().sort_values("kl", ascending=False)
        assert styles == ["normal" if active else "italic" for active in units["active"]]


def test_reconstructions_stand_below_their_inputs(small_study: StudyResults) -> None:
    (drawn,) = reconstructions(present(small_study))
    (ax,) = drawn.figure.axes
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names == ["input", "standard normal", "Laplace"]
    canvas = ax.get_images()[0].get_array()
    for row, run in enumerate(drawn.data["run"], 1):
        images = small_study.folder(run).images()
        np.testing.assert_allclose(canvas[:32, :32, 0], images["inputs"][0, 0])
        found = canvas[row * 34 : row * 34 + 32, :32, 0]
        np.testing.assert_allclose(found, images["reconstructions"][0, 0])


def test_each_cell_is_shown_by_its_first_finished_seed(main_study: StudyResults) -> None:
    (drawn,) = reconstructions(present(main_study))
    assert len(drawn.data) == 12
    assert drawn.data["seed"].tolist() == [0] * 12


def test_samples_stand_by_prior_and_posterior(main_study: StudyResults) -> None:
    (drawn,) = samples(present(main_study))
    (ax,) = drawn.figure.axes
    assert len(ax.get_yticklabels()) == len(PRIORS)
    canvas = ax.get_images()[0].get_array()
    block = 5 * 32 + 4 * 2
    # Third prior, second posterior.
    run = drawn.data["run"].iloc[2 * 3 + 1]
    expected = main_study.folder(run).images()["samples"][0, 0]
    top, left = 2 * (block + 9), block + 9
    np.testing.assert_allclose(canvas[top : top + 32, left : left + 32, 0], expected)


def test_captions_say_what_is_shown_of_codes(tmp_path: Path) -> None:
    codes = {"name": "categorical", "levels": 2, "of": "codes"}
    columns = [{"family": "bernoulli", "count": "rest"}, {"family": "categorical", "of": "codes"}]
    for likelihood, told in (
        (codes, "argmax p(x|z)"),
        ({"name": "categorical"}, "E[x|z]"),
        ({"name": "mixed", "columns": columns}, "E[x|z] (of codes argmax p(x|z))"),
    ):
        study = make_study(tmp_path / "s", seeds=1, units=4, cells=[{"likelihood": likelihood}])
        (drawn,) = reconstructions(present(study))
        assert drawn.caption.startswith(f"Reconstructions {told} at z = E_q[z|x] of")
        (drawn,) = samples(present(study))
        assert drawn.caption.startswith(f"Samples from each cell's model: {told} with z from")
        shutil.rmtree(tmp_path / "s")
