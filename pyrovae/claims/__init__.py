"""The claims of Asperti 2019 (arXiv:1812.07238) and its versions, each with a verdict."""

from __future__ import annotations

from pyrovae.claims.registry import CLAIMS, Claim
from pyrovae.claims.verdict import Verdict

__all__ = ["CLAIMS", "Claim", "Verdict"]
