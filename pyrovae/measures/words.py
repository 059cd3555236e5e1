"""What text is measured in: nats and perplexity for each word."""

from __future__ import annotations

import math

from pyrovae.core.given import Data, observed
from pyrovae.measures.scores import TEST, Score, declare
from pyrovae.models.contract import LatentModel
from pyrovae.models.likelihoods import Likelihood

NLL_PER_WORD = declare(
    Score(
        "nll_per_word",
        "NLL per word",
        unit="nats",
        better="low",
        group=TEST,
        meaning=(
            "Minus the importance-weighted bound on log p(x), of all test sequences, over the "
            "number of their tokens, ends included."
        ),
    )
)
PERPLEXITY = declare(
    Score(
        "perplexity",
        "Perplexity",
        better="low",
        kind="positive",
        group=TEST,
        meaning=(
            "Exponential of the NLL per word: of how many equally likely words each is one. An "
            "upper bound, as the NLL is."
        ),
    )
)


def measure_words(vae: LatentModel, x: Data, log_px: float) -> dict[str, float]:
    """Return the scores of sequences of tokens; of other data there are none.

    Parameters
    ----------
    vae
        Whose likelihood may know what a word is
        (:meth:`pyrovae.models.likelihoods.Likelihood.words`).
    x
        Observations ``(n, *event_shape)``.
    log_px
        Mean over them of the bound on log p(x), nats.
    """
    likelihood = getattr(vae, "likelihood", None)
    counts = likelihood.words(observed(x)) if isinstance(likelihood, Likelihood) else None
    if counts is None:
        return {}
    nll = -log_px * len(x) / float(counts.sum())
    return {NLL_PER_WORD.key: nll, PERPLEXITY.key: math.exp(min(nll, 700.0))}
