from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyrovae.core.errors import ConfigError, DataError
from pyrovae.datasets import DATASETS, load_dataset
from pyrovae.datasets.sprites import GRID as SPRITES
from pyrovae.datasets.sprites import RADIUS, SHAPES, SpriteGrid, draw

N = 400
GRID, render = SPRITES.factors, SPRITES.render


def random_sprites(shape: str, size: int, scale: float = 1.0, n: int = N) -> dict:
    rng = np.random.default_rng(1)
    return {
        "shape": shape,
        "scale": np.full(n, scale),
        "orientation": rng.uniform(0, 2 * np.pi, n),
        "x": rng.uniform(RADIUS, 1 - RADIUS, n),
        "y": rng.uniform(RADIUS, 1 - RADIUS, n),
        "size": size,
    }


def heart_outline(n: int = 20_000) -> np.ndarray:
    """Points (x, y downwards) of the heart at scale 1, built independently of the renderer.

    From the lower tip: up the right side of the square, around two half circles, down the left.
    Then moved to its centroid and scaled so that the tip is RADIUS away.
    """
    t = np.linspace(0, 1, n)
    lobe = np.linspace(-np.pi / 4, 3 * np.pi / 4, n)
    r, d = 0.5, np.sqrt(2) / 4  # of a square with side 1: lobe radius, lobe centre's offset
    right_side = np.stack([t * np.sqrt(0.5), -np.sqrt(0.5) + t * np.sqrt(0.5)])
    right_lobe = np.stack([d + r * np.cos(lobe), d + r * np.sin(lobe)])
    half = np.concatenate([right_side, right_lobe], axis=1)
    mirrored = half[:, ::-1] * np.array([[-1.0], [1.0]])
    outline = np.concatenate([half, mirrored], axis=1).T
    _, centroid = area_and_centroid(outline)
    outline -= centroid
    outline *= RADIUS / np.linalg.norm(outline, axis=1).max()
    return outline * [1, -1]


def area_and_centroid(outline: np.ndarray) -> tuple[float, np.ndarray]:
    """Quadrature of a closed outline by Green's theorem (the shoelace formulas)."""
    following = np.roll(outline, -1, axis=0)
    cross = outline[:, 0] * following[:, 1] - following[:, 0] * outline[:, 1]
    area = cross.sum() / 2
    return abs(area), ((outline + following) * cross[:, None]).sum(axis=0) / (6 * area)


AREAS = {
    "square": 2 * RADIUS**2,
    "ellipse": np.pi * RADIUS**2 / 2,
    "heart": area_and_centroid(heart_outline())[0],
}


@pytest.mark.parametrize("scale", [0.5, 1.0])
@pytest.mark.parametrize("shape", SHAPES)
def test_mean_area_is_the_closed_form(shape: str, scale: float) -> None:
    # At random positions the share of pixel centres inside a shape is unbiased for its area.
    covered = draw(**random_sprites(shape, 64, scale)).mean(axis=(1, 2))
    expected = AREAS[shape] * scale**2
    assert abs(covered.mean() - expected) < 5 * covered.std() / np.sqrt(N)
    assert covered.mean() == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("shape", SHAPES)
def test_centroid_is_the_position(shape: str) -> None:
    sprites = random_sprites(shape, 64)
    images = draw(**sprites)
    pixel = (np.arange(64) + 0.5) / 64
    n_white = images.sum(axis=(1, 2))
    for axis, key in ((1, "x"), (2, "y")):
        centroid = images.sum(axis=axis) @ pixel / n_white
        error = centroid - sprites[key]
        assert abs(error.mean()) < 5 * error.std() / np.sqrt(N)
        assert np.abs(error).max() < 0.5 / 64


@pytest.mark.parametrize("shape", SHAPES)
def test_no_sprite_is_clipped_and_the_farthest_point_is_at_the_radius(shape: str) -> None:
    sprites = random_sprites(shape, 256, n=40)
    images = draw(**sprites)
    pixel = (np.arange(256) + 0.5) / 256
    dx, dy = pixel - sprites["x"][:, None], pixel - sprites["y"][:, None]
    distance = np.hypot(dx[:, None, :], dy[:, :, None])
    farthest = np.where(images, distance, 0).max(axis=(1, 2))
    assert (farthest <= RADIUS + 1e-6).all()
    assert (farthest > RADIUS - 2.5 / 256).all()


def test_heart_is_the_region_of_its_outline() -> None:
    outline = heart_outline(300)
    size, n = 128, 5
    sprites = random_sprites("heart", size, n=n)
    images = draw(**sprites)
    pixel = (np.arange(size) + 0.5) / size
    for k in range(n):
        angle, x, y = (sprites[key][k] for key in ("orientation", "x", "y"))
        rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        px, py = (outline @ rotation.T + [x, y]).T
        qx, qy = np.roll(px, -1), np.roll(py, -1)
        # Even-odd rule: count the edges that a ray to the right of each pixel crosses.
        inside = np.zeros((size, size), bool)
        for row, level in enumerate(pixel):
            crossed = (py <= level) != (qy <= level)
            where = px + (level - py) / np.where(crossed, qy - py, 1) * (qx - px)
            inside[row] = (where[crossed, None] > pixel).sum(axis=0) % 2 == 1
        assert (inside != images[k]).sum() <= 3


def test_heart_stands_on_its_tip_and_turns_clockwise() -> None:
    upright, quarter = draw(
        "heart", np.ones(2), np.array([0, np.pi / 2]), np.full(2, 0.5), np.full(2, 0.5), 64
    )
    widths = upright.sum(axis=1)
    rows = np.flatnonzero(widths)
    assert widths[rows[-1]] <= 2  # the tip, below
    assert widths[rows[0]] > 4  # the lobes, above
    assert np.array_equal(upright, upright[:, ::-1])
    assert np.array_equal(quarter, np.rot90(upright, -1))  # the tip now points left


@pytest.mark.parametrize("shape", SHAPES)
def test_half_a_turn_is_a_symmetry_of_square_and_ellipse_only(shape: str) -> None:
    sprites = random_sprites(shape, 64, n=50)
    turned = sprites | {"orientation": sprites["orientation"] + np.pi}
    differing = (draw(**sprites) != draw(**turned)).sum(axis=(1, 2))
    if shape == "heart":
        assert differing.min() > 20
    else:
        # A pixel centre that is on the outline to seven digits may go either way.
        assert differing.max() <= 1


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("shift", [(3, 0), (0, 5), (-2, 4)])
def test_moving_by_whole_pixels_shifts_the_image(shape: str, shift: tuple[int, int]) -> None:
    sprites = random_sprites(shape, 64, n=50)
    across, down = shift
    for key in ("x", "y"):
        sprites[key] = np.clip(sprites[key], 0.3, 0.7)
    moved = sprites | {"x": sprites["x"] + across / 64, "y": sprites["y"] + down / 64}
    expected = np.roll(draw(**sprites), (down, across), axis=(1, 2))
    assert (expected != draw(**moved)).sum(axis=(1, 2)).max() <= 1


def test_grid_is_that_of_dsprites() -> None:
    assert len(GRID) == 737_280
    assert GRID.names == ("shape", "scale", "orientation", "x", "y")
    # Position y varies fastest, shape slowest.
    assert GRID.factors(np.array([0, 1, 32, 32 * 32, 737_279])).tolist() == [
        [0, 0, 0, 0, 0],
        [0, 0, 0, 0, 1],
        [0, 0, 0, 1, 0],
        [0, 0, 1, 0, 0],
        [2, 5, 39, 31, 31],
    ]


@settings(max_examples=50)
@given(st.lists(st.integers(0, len(GRID) - 1), min_size=1, max_size=5))
def test_render_draws_what_the_factors_say(index: list[int]) -> None:
    factors = GRID.factors(np.array(index))
    images = render(factors, 64)
    assert images.dtype == np.uint8
    assert images.shape == (len(index), 1, 64, 64)
    for image, (shape, scale, orientation, x, y) in zip(images, factors, strict=True):
        alone = draw(
            SHAPES[shape],
            np.array([0.5 + 0.1 * scale]),
            np.array([2 * np.pi * orientation / 39]),
            np.array([RADIUS + (1 - 2 * RADIUS) * x / 31]),
            np.array([RADIUS + (1 - 2 * RADIUS) * y / 31]),
            64,
        )[0]
        assert set(np.unique(image)) == {0, 255}
        assert ((image[0] == 255) != alone).sum() <= 1


def test_rendering_in_chunks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    factors = GRID.factors(np.arange(0, len(GRID), 9973))
    whole = render(factors, 32)
    monkeypatch.setattr("pyrovae.datasets.sprites._CHUNK_PIXELS", 5 * 32**2)
    assert np.array_equal(render(factors, 32), whole)


def test_small_images_are_neither_empty_nor_alike() -> None:
    # All shapes at the smallest scale, upright, at all positions.
    grid = np.indices((3, 1, 1, 32, 32)).reshape(5, -1).T
    images = render(grid, 32).reshape(3, -1, 32 * 32) > 0
    assert images.sum(axis=2).min() >= 10
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert (images[one] != images[other]).sum(axis=1).min() >= 3


def test_factors_off_the_grid_are_refused() -> None:
    for factors in ([[3, 0, 0, 0, 0]], [[0, 0, 0, 0, -1]], [[0, 0, 0, 0]]):
        with pytest.raises(DataError, match="factor indices"):
            render(np.array(factors))


def test_dataset_is_disjoint_and_its_images_fit_its_factors() -> None:
    data = load_dataset("sprites", size=32, n_train=300, n_test=200)
    assert data.event_shape == (1, 32, 32)
    points = []
    for split in (data.train, data.test):
        assert split.factors is not None
        assert np.array_equal(split.values.numpy(), render(split.factors, 32))
        points.append(GRID.index(split.factors))
    assert len(np.unique(np.concatenate(points))) == 500


def test_more_than_the_grid_is_refused() -> None:
    with pytest.raises(ConfigError, match="only 737280"):
        load_dataset("sprites", n_train=737_280, n_test=1)
    with pytest.raises(ConfigError, match="greater than or equal to 16"):
        load_dataset("sprites", size=8)


def test_values_of_the_default_grid_are_those_of_dsprites() -> None:
    # As first written down: stored runs are of these images.
    corner = render(np.array([[0, 0, 0, 0, 0], [2, 5, 39, 31, 31]]), 64)[:, 0] > 0
    at = {"x": np.array([RADIUS]), "y": np.array([RADIUS])}
    assert np.array_equal(corner[0], draw("square", np.array([0.5]), np.zeros(1), **at, size=64)[0])
    at = {"x": np.array([1 - RADIUS]), "y": np.array([1 - RADIUS])}
    turn = np.array([2 * np.pi])
    assert np.array_equal(corner[1], draw("heart", np.ones(1), turn, **at, size=64)[0])
    data = load_dataset("sprites", size=16, n_train=30, n_test=20)
    assert data.fingerprint.startswith("2a20240c514df426")


def test_a_smaller_grid_has_the_factors_that_vary_and_no_other() -> None:
    data = load_dataset(
        "sprites", size=16, n_train=60, n_test=36,
        shapes=["ellipse"], scales=6, orientations=1, positions=4,
    )  # fmt: skip
    assert data.factor_names == ("scale", "x", "y")
    assert data.factor_sizes == (6, 4, 4)
    values, factors = data.train.values.numpy(), data.train.factors
    assert factors is not None
    for image, (scale, x, y) in zip(values, factors, strict=True):
        alone = draw(
            "ellipse",
            np.array([0.5 + 0.1 * scale]),
            np.zeros(1),
            np.array([RADIUS + (1 - 2 * RADIUS) * x / 3]),
            np.array([RADIUS + (1 - 2 * RADIUS) * y / 3]),
            16,
        )[0]
        # A pixel centre may be on the outline to seven digits.
        assert ((image[0] > 0) != alone).sum() <= 1
    points = [tuple(row) for split in (data.train, data.test) for row in split.factors]  # type: ignore[union-attr]
    assert len(set(points)) == 96


def test_single_values_are_full_size_upright_and_central() -> None:
    half = np.full(1, 0.5)
    images = SpriteGrid(scales=1, orientations=1, positions=1).render(np.arange(3)[:, None], 32)
    for shape, image in zip(SHAPES, images, strict=True):
        alone = draw(shape, np.ones(1), np.zeros(1), half, half, 32)
        assert np.array_equal(image > 0, alone)


def test_fewer_orientations_go_once_around() -> None:
    heart = SpriteGrid(("heart",), scales=1, orientations=4, positions=1)
    assert heart.factors.names == ("orientation",)
    images = heart.render(np.arange(4)[:, None], 64)[:, 0]
    for k in range(4):
        assert (np.rot90(images[0], -k) != images[k]).sum() <= 4  # clockwise
    assert len(np.unique(images, axis=0)) == 4


def test_shapes_are_numbered_as_they_are_named() -> None:
    one = SpriteGrid(("heart", "square"), 1, 1, 4).render(np.array([[0, 1, 2], [1, 1, 2]]))
    other = SpriteGrid(("square", "heart"), 1, 1, 4).render(np.array([[1, 1, 2], [0, 1, 2]]))
    assert np.array_equal(one, other)
    assert not np.array_equal(one[0], one[1])


def test_a_grid_that_is_not_chosen_is_not_part_of_the_identity() -> None:
    before = {"size": 64, "n_train": 20_000, "n_test": 10_000, "seed": 0}
    assert DATASETS.resolve("sprites", {}) == before
    asked = {"shapes": list(SHAPES), "scales": 6, "orientations": 40, "positions": 32}
    asked |= {"reach": [1.0, 1.0], "noise": 0.0}
    assert DATASETS.resolve("sprites", asked) == before
    assert DATASETS.resolve("sprites", asked | {"positions": 8}) == {**before, "positions": 8}


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"shapes": ["heart", "heart"]}, "No shape may be named twice"),
        ({"shapes": []}, "at least 1 item"),
        ({"shapes": "heart"}, "valid list"),
        ({"shapes": ["circle"]}, "'square', 'ellipse' or 'heart'"),
        ({"scales": 0}, "greater than 0"),
        ({"reach": [0.5]}, "at least 2 items"),
        ({"reach": [0.5, 1.5]}, "less than or equal to 1"),
        ({"reach": 0.5}, "valid list"),
        ({"noise": -0.1}, "greater than or equal to 0"),
        ({"noise": 1.5}, "less than or equal to 1"),
        ({"positions": 65}, "less than or equal to 64"),
        ({"orientations": 2.0}, "valid integer"),
        ({"shapes": ["heart"], "positions": 4, "orientations": 1}, "only 96"),
        ({"shapes": ["heart"], "scales": 1, "positions": 1, "orientations": 1}, "only 1$"),
    ],
)
def test_what_is_no_grid_is_refused(given: dict, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        load_dataset("sprites", **given)


def test_a_shorter_reach_is_around_the_centre() -> None:
    grid = SpriteGrid(("square",), scales=1, orientations=1, positions=5, reach=(0.5, 1.0))
    assert grid.factors.names == ("x", "y")
    images = grid.render(np.indices((5, 5)).reshape(2, -1).T, 64)[:, 0] > 0
    pixel = (np.arange(64) + 0.5) / 64
    area = images.sum(axis=(1, 2))
    x, y = images.sum(axis=1) @ pixel / area, images.sum(axis=2) @ pixel / area
    np.testing.assert_allclose(x, np.repeat(np.linspace(0.35, 0.65, 5), 5), atol=0.01)
    np.testing.assert_allclose(y, np.tile(np.linspace(0.2, 0.8, 5), 5), atol=0.01)


def test_noise_has_its_scale_and_is_another_for_each_image_and_pixel() -> None:
    given = {"size": 16, "n_train": 600, "n_test": 100}
    plain, noisy = load_dataset("sprites", **given), load_dataset("sprites", **given, noise=0.08)
    assert np.array_equal(plain.train.factors, noisy.train.factors)
    grey = 0.25 + 0.5 * plain.train.values.numpy() / 255
    error = (noisy.train.values.numpy() / 255 - grey)[:, 0]
    # 153,600 draws: four standard errors; three standard deviations are cut off.
    assert abs(error.mean()) < 4 * 0.08 / len(error.ravel()) ** 0.5
    assert error.std() == pytest.approx(0.08, rel=0.01)
    assert abs(np.corrcoef(error[:, 3, 3], error[:, 3, 4])[0, 1]) < 0.17
    assert abs(np.corrcoef(error[:-1, 3, 3], error[1:, 3, 3])[0, 1]) < 0.17
    again = load_dataset("sprites", **given, noise=0.08)
    assert np.array_equal(noisy.test.values, again.test.values)
    other = load_dataset("sprites", **given, noise=0.08, seed=1)
    assert not np.array_equal(noisy.test.values, other.test.values)
