"""What pruning did, for reading."""

from __future__ import annotations

from pyrovae.shrink.pruning.compare import RESOLVED, Comparison
from pyrovae.shrink.pruning.finetune import FineTuning
from pyrovae.shrink.pruning.prune_run import Pruned, PrunedRun


def describe(pruned: Pruned) -> str:
    """Return what pruning did, as text."""
    before, after = pruned.parameters
    flops_before, flops_after = pruned.flops
    every = len(pruned.kept) + len(pruned.removed)
    if pruned.turned:
        lines = [
            f"{len(pruned.removed)} of {every} directions of the code removed: no axis of a "
            "full-rank code is special, so it was turned first, and its covariance fitted anew"
        ]
    else:
        numbers = ", ".join(map(str, pruned.removed)) or "none"
        lines = [f"{len(pruned.removed)} of {every} latent units removed: {numbers}"]
    lines[0] += f"; kept: {pruned.criterion} on the training data"
    if pruned.hidden:
        counts = (f"{name} {count}" for name, count in pruned.hidden.items())
        lines.append("hidden units removed: " + ", ".join(counts))
    lines.append(
        f"parameters {before:,} -> {after:,} ({after / before - 1:+.1%}), "
        f"FLOPs a datum {flops_before:,.0f} -> {flops_after:,.0f} "
        f"({flops_after / flops_before - 1:+.1%})"
    )
    lines += _elbo(pruned.comparison)
    if isinstance(pruned, PrunedRun):
        if pruned.finetuning is not None:
            lines.append(_finetuning(pruned.finetuning))
        lines.append(f"run {pruned.folder.id}: {pruned.folder.path}")
    return "\n".join(lines)


def _finetuning(found: FineTuning) -> str:
    change = f"{found.change:+.2f} ± {found.change_se:.2f} nats"
    if found.kept:
        return f"fine-tuning: {change}, ELBO {found.elbo:.4f} nats"
    if found.gain < -RESOLVED * found.gain_se:
        verb = f"lost {-found.gain:.2f} ± {found.gain_se:.2f} nats on held-out data"
    else:
        verb = f"gained {found.gain:+.2f} ± {found.gain_se:.2f} nats on held-out data, not resolved"
    return f"kept as it was: fine-tuning {verb}"


def _elbo(found: Comparison) -> list[str]:
    lines = [
        f"ELBO {found.before:.4f} -> {found.after:.4f} nats, standard error {found.data_se:.2g} "
        f"over data and draws ({found.before_se:.2g} over the draws alone)",
        f"change {found.change:+.4f} ± {found.change_se:.4f} with the same noise (± "
        f"{found.change_data_se:.4f} over the data too):",
        f"  {-found.rate_change:+.4f} the rate of what was removed, which is saved",
        f"  {-found.distortion_change:+.4f} ± {found.distortion_change_se:.4f} the "
        "reconstructions, of which",
        f"    {-found.noise_change:+.4f} ± {found.noise_change_se:.4f} the noise that the decoder "
        "is spared",
        f"    {-found.information_change:+.4f} ± {found.information_change_se:.4f} what was said "
        "of x, and what the decoder absorbed",
    ]
    share, draws = abs(found.change) / found.data_se, abs(found.change) / found.before_se
    lines.append(
        f"the change is {share:.2g} of the ELBO's standard error "
        f"({'less' if share < 1 else 'not less'} than it), {draws:.2g} of that over the draws alone"
        f" ({'less' if draws < 1 else 'not less'})"
    )
    resolved = abs(found.distortion_change) > RESOLVED * found.distortion_change_se
    lines.append(
        "reconstructions changed by "
        f"{found.reconstruction_change:.2g} (RMS), their log-likelihood "
        + ("by more than" if resolved else "within")
        + f" {RESOLVED:g} of its errors"
    )
    return lines
