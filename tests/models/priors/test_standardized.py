"""Priors of variance 1: only the shape of their density is another."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from pyrovae.core.errors import ConfigError
from pyrovae.models.priors import PRIORS

#: Priors with fixed moments, and the standard deviation that their docstrings state.
STATED = {
    "standard_normal": 1.0,
    "laplace": 1.0,
    "generalized_normal": 1.0,
    "two_stage": 1.0,
    "student_t": 1.29,
    "spike_slab": 0.55,
}
CASES: list[tuple[str, dict[str, Any]]] = [
    ("laplace", {}),
    ("generalized_normal", {"p": 0.8}),
    ("student_t", {"standardized": True}),
    ("student_t", {"standardized": True, "df": 2.5}),
    ("gaussian_mixture", {"standardized": True}),
    ("gaussian_mixture", {"standardized": True, "components": 1}),
    ("spike_slab", {"standardized": True}),
    ("spike_slab", {"standardized": True, "probability": 0.01, "slab": 7.0}),
]


@pytest.mark.parametrize("name", STATED)
def test_defaults_have_the_stated_standard_deviation(name: str) -> None:
    law = PRIORS.create(name, 3)()
    torch.testing.assert_close(law.stddev, torch.full((3,), STATED[name]), atol=5e-3, rtol=0)


@pytest.mark.parametrize(("name", "given"), CASES)
def test_mean_is_0_and_variance_1(name: str, given: dict[str, Any]) -> None:
    law = PRIORS.create(name, 3, **given)()
    torch.testing.assert_close(law.mean, torch.zeros(3), atol=1e-6, rtol=0)
    torch.testing.assert_close(law.variance, torch.ones(3), atol=1e-5, rtol=0)


def test_a_standardized_student_t_is_a_scaled_one() -> None:
    z = torch.linspace(-6, 6, 21)[:, None]
    scaled = PRIORS.create("student_t", 1, df=4.0, scale=0.5**0.5)()
    law = PRIORS.create("student_t", 1, df=4.0, standardized=True)()
    torch.testing.assert_close(law.log_prob(z), scaled.log_prob(z))
    wide = PRIORS.create("student_t", 1, df=4.0, scale=3.0, standardized=True)()
    torch.testing.assert_close(wide.stddev, torch.tensor([3.0]))


def test_a_schedule_of_df_keeps_the_standard_deviation() -> None:
    falling = {"schedule": "linear", "from": 30.0, "to": 3.0, "steps": 10}
    prior = PRIORS.create("student_t", 2, df=falling, standardized=True)
    for df in (30.0, 12.0, 3.0):
        prior.df.fill_(df)
        torch.testing.assert_close(prior().stddev, torch.ones(2))


@pytest.mark.parametrize("df", [2.0, 1.0, {"schedule": "linear", "from": 5, "to": 2, "steps": 9}])
def test_no_student_t_without_a_variance(df: Any) -> None:
    with pytest.raises(ConfigError, match=r"above df = 2 only, got [12]$") as refused:
        PRIORS.create("student_t", 2, df=df, standardized=True)
    assert refused.value.place == "df"


def test_a_mixture_stays_standardized_as_it_learns() -> None:
    torch.manual_seed(0)
    prior = PRIORS.create("gaussian_mixture", 3, standardized=True)
    optimizer = torch.optim.Adam(prior.parameters(), lr=0.1)
    data = torch.distributions.Normal(torch.tensor([3.0, -1.0, 0.0]), 2.0).sample((64,))
    for _ in range(20):
        optimizer.zero_grad()
        (-prior().log_prob(data).mean()).backward()
        optimizer.step()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in prior.parameters())
    z = prior().sample((20_000,))
    torch.testing.assert_close(z.mean(0), torch.zeros(3), atol=0.05, rtol=0)
    torch.testing.assert_close(z.std(0), torch.ones(3), atol=0.05, rtol=0)


@pytest.mark.parametrize("name", ["student_t", "gaussian_mixture", "spike_slab"])
def test_what_is_not_asked_for_is_not_part_of_the_identity(name: str) -> None:
    assert "standardized" not in PRIORS.resolve(name, {"standardized": False})
    assert PRIORS.resolve(name, {"standardized": True})["standardized"] is True
