"""What a part's docstring must say; run in a process that knows a plug-in's parts too.

``python documented.py`` prints what is missing.
"""

from __future__ import annotations

from collections.abc import Iterator

from pyrovae.core import docstring
from pyrovae.measures.disentanglement import METRICS
from pyrovae.measures.samplers import SAMPLERS
from pyrovae.study.config.resolve import REGISTRIES
from pyrovae.training.optimizers import OPTIMIZERS

#: Kinds whose every member is a formula, and those that have formulas where they are one.
WITH_FORMULA = ("prior", "posterior", "likelihood", "objective", "optimizer", "metric", "sampler")


def gaps() -> Iterator[str]:
    """Tell what each registered part's docstring lacks."""
    for kind, registry in {
        **REGISTRIES,
        "optimizer": OPTIMIZERS,
        "metric": METRICS,
        "sampler": SAMPLERS,
    }.items():
        for name in registry:
            part = registry[name]
            asked = {"References": docstring.reference(part)}
            asked["Examples"] = docstring.section(part, "Examples")
            if kind in WITH_FORMULA:
                asked["a formula"] = docstring.formula(part)
            if not registry.summary(name).endswith((".", ":", "?")):
                yield f"{kind} {name}: a first line that is a sentence"
            yield from (f"{kind} {name}: {what}" for what, said in asked.items() if not said)


if __name__ == "__main__":
    print("\n".join(gaps()))
