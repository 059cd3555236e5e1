"""What each score of a diagnosis is; see :func:`pyrovae.measures.posterior.diagnose.diagnose`."""

from __future__ import annotations

from pyrovae.measures.scores import POSTERIOR, Better, Kind, Score, declare

#: What is in front of a diagnosis' scores among the scores of a run.
PREFIX = "posterior_"
#: Nominal contents of the intervals whose coverage is told.
NOMINAL = (0.5, 0.8, 0.9, 0.95)

#: Name, title, which way is better, meaning.
_Rows = tuple[tuple[str, str, Better, str], ...]


def _declare(unit: str, kind: Kind, rows: _Rows) -> None:
    for name, title, better, meaning in rows:
        declare(
            Score(
                f"{PREFIX}{name}",
                title,
                unit=unit,
                better=better,
                kind=kind,
                group=POSTERIOR,
                meaning=meaning,
            )
        )


# Points and draws are not counted up to the latent dimension, as the kind "count" is.
_declare(
    "count",
    "real",
    (
        ("points", "Diagnosed points", "neither", "Test points whose true posterior is sampled."),
        ("points_passed", "Points passed", "neither", "Points whose chains pass the gate."),
        ("points_failed", "Points failed", "low", "Points whose chains fail the gate."),
        ("points_multimodal", "Points with several modes", "neither", "Of their true posterior."),
        ("divergences", "Divergent transitions", "low", "Of NUTS, over all points."),
    ),
)
_declare(
    "count",
    "count",
    (
        ("sbc_units_rejected", "Units rejected by SBC", "low", "Of a p-value below 0.01."),
        (
            "vsbc_units_rejected",
            "Units rejected by VSBC",
            "low",
            "Of a p-value of symmetric ranks below 0.01: q is off centre.",
        ),
        ("collapsed_units", "Collapsed units", "neither", "Units that the guide has collapsed."),
        ("blame_model", "Collapsed: model", "neither", "In the true posterior too."),
        ("blame_guide", "Collapsed: guide", "low", "Not in the true posterior."),
        ("blame_undecided", "Collapsed: undecided", "neither", "Test points do not tell."),
    ),
)
_declare(
    "nats",
    "real",
    (
        ("elbo", "ELBO, diagnosed points", "high", "Of the guide, mean over diagnosed points."),
        ("elbo_best", "Best ELBO of the family", "high", "ELBO of the best member for each point."),
        ("log_px", "log p(x), diagnosed points", "high", "The nearest of the lower bounds."),
        ("log_px_iwae", "log p(x), IWAE", "high", "Importance-weighted bound of the guide."),
        ("log_px_iwae_best", "log p(x), IWAE of the best", "high", "The same of the best members."),
        ("log_px_ais", "log p(x), AIS", "high", "By annealed importance sampling."),
        ("approximation_gap", "Approximation gap", "low", "log p(x) minus the family's best ELBO."),
        ("amortisation_gap", "Amortisation gap", "low", "Family's best ELBO minus the guide's."),
        (
            "amortisation_gap_train",
            "Amortisation gap, training points",
            "low",
            "Family's best ELBO minus the guide's, of training points.",
        ),
        (
            "amortisation_generalisation_gap",
            "Amortisation gap, test minus train",
            "low",
            "What the encoder loses more on points that it has not seen (Zhang et al. 2022).",
        ),
        ("inference_gap", "Inference gap", "low", "log p(x) minus the guide's ELBO."),
        ("simulated_log_px_lower", "Simulated log p(x), lower", "neither", "By AIS, from below."),
        ("simulated_log_px_upper", "Simulated log p(x), upper", "neither", "By AIS, from above."),
        ("bracket_width", "Width of the bracket", "low", "Between the simulated data's bounds."),
        ("blame_guide_kl", "Guide misses", "low", "KL of the units collapsed by the guide."),
    ),
)
_declare(
    "nats",
    "positive",
    tuple(
        (f"{name}_gap_points_se", f"{title} gap, error over points", "neither", "As a sample.")
        for name, title in (
            ("approximation", "Approximation"),
            ("amortisation", "Amortisation"),
            ("inference", "Inference"),
            ("amortisation_generalisation", "Amortisation, test minus train,"),
        )
    ),
)
_declare(
    "",
    "positive",
    (
        ("rhat_largest", "Largest R-hat", "low", "Over points and units."),
        ("ess_smallest", "Smallest ESS", "high", "Of bulk and tail, over points and units."),
        ("sd_ratio_active", "Ratio of sd, active units", "neither", "Guide's over the true one."),
        ("sd_ratio_collapsed", "Ratio of sd, collapsed units", "neither", "The same of others."),
    ),
)
_declare(
    "sd",
    "positive",
    tuple(
        (f"{name}_{units}", f"{title}, {units} units", "low", meaning)
        for units in ("active", "collapsed")
        for name, title, meaning in (
            ("w1_sd", "Wasserstein-1", "Of the guide's marginals from the true posterior's."),
            ("shift", "Shift of means", "Of the guide's means from the true posterior's."),
        )
    ),
)
_declare("", "real", (("pareto_k_median", "Pareto k, median", "low", "Of the guide's weights."),))
_declare(
    "",
    "proportion",
    (
        (
            "pareto_k_bad_share",
            "Pareto k > 0.7",
            "low",
            "Share of points where the guide's weights fail.",
        ),
        ("ais_acceptance", "AIS acceptance", "neither", "Of its Hamiltonian steps."),
        ("sbc_p", "SBC p-value", "neither", "Of uniform ranks (Talts et al. 2018)."),
        ("vsbc_p", "VSBC p-value", "neither", "Of symmetric ranks (Yao et al. 2018)."),
        (
            "tarp_p",
            "TARP p-value",
            "neither",
            "Of uniform ranks of distances from random points (Lemos et al. 2023), of all units "
            "together.",
        ),
        (
            "local_c2st_p",
            "Local C2ST p-value",
            "neither",
            "Of a classifier that tells nothing of codes from draws of q, over simulated data "
            "(Linhart et al. 2023).",
        ),
        (
            "local_c2st_rejected",
            "Points rejected by the local C2ST",
            "low",
            "Share of points at which q is told from the posterior at 5 %.",
        ),
        *(
            (
                f"coverage_{round(100 * level)}",
                f"Coverage of {level:.0%} intervals",
                "neither",
                "How often the guide's central interval holds the code behind a simulated datum.",
            )
            for level in NOMINAL
        ),
        *(
            (
                f"tarp_coverage_{round(100 * level)}",
                f"Coverage of {level:.0%} balls",
                "neither",
                "How often a ball of this content under q, around a random point, holds the code "
                "behind a simulated datum.",
            )
            for level in NOMINAL
        ),
    ),
)
