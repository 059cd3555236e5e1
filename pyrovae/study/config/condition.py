"""What a run's programs are given: ``condition``, a part that most runs do without."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from pyrovae.datasets.context import Columns
from pyrovae.models.condition import Condition


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class ConditionSettings(BaseModel):
    """Labels and covariates, and which of a VAE's programs they are given to."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    on: Annotated[list[str], BeforeValidator(_listed), Field(min_length=1)] = Field(
        description="a label, factor or covariate of the data set, or a list of them"
    )
    encoder: bool = Field(default=True, description="whether q(z|x, c) depends on them")
    decoder: bool = Field(default=True, description="whether p(x|z, c) does")
    prior: bool = Field(
        default=False, description="whether p(z|c) does: the prior moved and stretched by them"
    )

    @model_validator(mode="after")
    def _gives_something(self) -> ConditionSettings:
        if not (self.encoder or self.decoder or self.prior):
            raise ValueError("encoder, decoder and prior are all false: nothing is conditional")
        twice = next((name for name in self.on if self.on.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"'{twice}' stands twice")
        return self

    @property
    def told(self) -> str:
        """What is given, and to which programs where these are not the usual two.

        >>> ConditionSettings(on="digit").told, ConditionSettings(on="digit", prior=True).told
        ('digit', 'digit at encoder, decoder, prior')
        """
        places = [name for name in ("encoder", "decoder", "prior") if getattr(self, name)]
        where = "" if places == ["encoder", "decoder"] else f" at {', '.join(places)}"
        return ", ".join(self.on) + where

    def of(self, columns: Columns) -> Condition:
        """Return what a model of these columns is given."""
        return Condition(columns.size, self.encoder, self.decoder, self.prior, columns)
