"""What is asked for of samples' quality."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

#: ``classifier``: the last hidden layer of a small network that tells the data set's factors or
#: labels. ``pixels``: the values themselves.
ExtractorName = Literal["classifier", "pixels"]


class QualitySettings(BaseModel):
    """How samples are compared with test data."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    extractor: ExtractorName = Field(
        default="classifier", description="whose features are compared: classifier or pixels"
    )
    samples: int = Field(
        default=5000, gt=1, description="samples, and as many test data: at most all there are"
    )
    neighbours: int = Field(
        default=3, gt=0, description="of precision and recall: reach to the k-th nearest"
    )
    draws: bool = Field(
        default=False, description="compare draws from p(x|z), not what reconstructions show"
    )
