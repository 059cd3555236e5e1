"""What layers a model has: ``layers``, a part that most runs do without."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

Width = Annotated[int, Field(gt=0)]


def _parts(value: Any) -> Any:
    if isinstance(value, list):
        return [{"name": part} if isinstance(part, str) else part for part in value]
    return value


#: Components of some layers, each ``{"name": …, **parameters}``, or a name.
Parts = Annotated[list[dict[str, Any]] | None, BeforeValidator(_parts)]


class Layers(BaseModel):
    """The layers of a code, and how they hang together.

    The run's ``prior`` is that of the top layer, its ``posterior`` that of every layer.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    sizes: list[Width] = Field(
        min_length=1, description="units of each layer, z1 first, which is nearest to the data"
    )
    guide: Literal["bottom_up", "ladder"] = Field(
        default="bottom_up",
        description="q(z1|x) q(z2|z1) …, or q(zL|x) … q(z1|z2, x), shared with the prior",
    )
    skip: bool = Field(
        default=False, description="whether the decoder reads every layer, and not z1 alone"
    )
    hidden: list[Width] = Field(
        default=[128], description="widths of the networks between layers; none makes them linear"
    )
    activation: Literal["relu", "gelu", "tanh", "softplus"] = "relu"
    priors: Parts = Field(
        default=None,
        description="of z1, z2, … below the top, each moved and stretched by the layer above: "
        "standard normal by default",
    )
    posteriors: Parts = Field(
        default=None, description="of z1, z2, …, where they differ: the run's posterior by default"
    )

    @model_validator(mode="after")
    def _of_each_layer(self) -> Layers:
        for name, wanted in (("priors", len(self.sizes) - 1), ("posteriors", len(self.sizes))):
            given = getattr(self, name)
            if given is not None and len(given) != wanted:
                raise ValueError(
                    f"{name} has {len(given)} entries, and {len(self.sizes)} layers need {wanted}"
                )
        return self

    @property
    def total(self) -> int:
        """Units of all layers."""
        return sum(self.sizes)

    @property
    def told(self) -> str:
        """The layers in a few words.

        >>> Layers(sizes=[32, 16]).told, Layers(sizes=[8, 4], guide="ladder", skip=True).told
        ('32, 16', '8, 4, ladder, skip')
        """
        words = [*map(str, self.sizes)]
        words += ["ladder"] if self.guide == "ladder" else []
        words += ["skip"] if self.skip else []
        return ", ".join(words)
