"""What a user may set about diagnostics."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class DiagnosticsSettings(BaseModel):
    """How closely a run's posterior is looked at. The defaults take minutes for each run."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    points: int = Field(default=32, gt=1, description="first test points that are sampled for")
    chains: int = Field(default=4, gt=1, description="NUTS chains for each point")
    warmup: int = Field(default=1000, ge=20)
    draws: int = Field(default=1000, ge=100, description="NUTS draws in each chain")
    guide_samples: int = Field(
        default=4000, ge=100, description="draws from the guide: Pareto k, ELBO, IWAE's K"
    )
    annealed_chains: int = Field(default=8, gt=1, description="AIS chains for each point")
    # Many temperatures rather than long transitions: for as many gradients, weights spread half.
    temperatures: int = Field(default=4000, gt=1, description="AIS steps from prior to posterior")
    leapfrog: int = Field(default=2, gt=0, description="leapfrog steps at each temperature")
    simulated: int = Field(default=16, gt=1, description="simulated data for BDMC's two bounds")
    search_steps: int = Field(default=500, gt=0, description="steps to each point's best ELBO")
    simulations: int = Field(default=1000, ge=100, description="for calibration")
    calibration_draws: int = Field(default=127, gt=0)
    local_classifiers: int = Field(
        default=0,
        ge=0,
        description="classifiers of the local C2ST, no p-value below 1 / (n + 1); 0 for no test",
    )
    replicates: int = Field(default=200, gt=0, description="replicated images for each point")
