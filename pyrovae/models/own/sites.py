"""What the sites of a user's own programs may be, so that a datum has one law of code and of x.

A site's ``scale`` and ``mask`` (:func:`pyro.poutine.scale`, :func:`pyro.poutine.mask`) are weights
of its term in the training objective. The laws p(z), p(x|z) and q(z|x), with everything that is
measured of them, are those without weights: a model trained with its latent site scaled by 4 is
judged as one trained by the objective ``beta`` with weight 4 is. A mask inside the observed law,
below its event dimensions, says instead which elements of x there are: it stays in the law.

What has no meaning for one datum is refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from pyro import poutine
from pyro.distributions import Delta, MaskedDistribution, Unit
from pyro.poutine import Trace
from pyro.poutine.messenger import Messenger
from torch import Tensor
from torch.distributions import Distribution, Independent
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from pyrovae.core.errors import ConfigError
from pyrovae.distributions.labels import by_noise
from pyrovae.models.own.asked import flat_hint
from pyrovae.models.sites import Site, latent_sites, observed_sites, stray_sites, variable_sites

_NO_SUCH = "a bound on log p(x) of one datum has no place for it"


class Sites(Messenger):
    """Gives sites other names and their weights one place, and refuses what no datum has.

    A law masked as a whole becomes the law and the site's mask, which is the same to every bound.

    Parameters
    ----------
    names
        Names by which handlers outside know the sites.
    weighted
        Whether sites keep their scales and masks.
    marked
        Whether sites may be marked for enumeration.
    """

    def __init__(self, names: Mapping[str, str], *, weighted: bool, marked: bool = False) -> None:
        super().__init__()
        self._map, self._weighted, self._marked = names, weighted, marked

    def _pyro_sample(self, msg: dict[str, Any]) -> None:
        _refuse(msg, marked=self._marked)
        while isinstance(msg["fn"], MaskedDistribution) and not msg["infer"].get("_deterministic"):
            mask = msg["fn"]._mask
            msg["fn"] = msg["fn"].base_dist
            msg["mask"] = mask if msg["mask"] is None else msg["mask"] & mask
        if self._marked and not msg["is_observed"]:
            msg["fn"] = by_noise(msg["fn"])
        if not self._weighted:
            msg["scale"], msg["mask"] = 1.0, None
        # Another site of the program may have the new name.
        other = f"{msg['name']}'" if msg["name"] in self._map.values() else msg["name"]
        msg["name"] = self._map.get(msg["name"], other)


def _refuse(msg: Mapping[str, Any], *, marked: bool) -> None:
    name = msg["name"]
    for frame in msg["cond_indep_stack"]:
        if frame.full_size != frame.size:
            raise ConfigError(
                f"takes {frame.size} of {frame.full_size} data in its plate '{frame.name}': "
                "minibatches are drawn outside a program, and losses are for each datum; write "
                f"pyro.plate('{frame.name}', len(x))"
            )
    if isinstance(msg["fn"], Unit):
        raise ConfigError(
            f"has a pyro.factor '{name}': {_NO_SUCH}; put it into a site's law, or into an "
            "objective of your own"
        )
    if msg["infer"].get("enumerate") and not msg["is_observed"] and not marked:
        raise not_enumerated(name)


def not_enumerated(name: str) -> ConfigError:
    """Return the error for a site that is marked for enumeration and cannot be summed over."""
    return ConfigError(
        f"enumerates its site '{name}': a sum is taken over one label (Categorical, "
        "OneHotCategorical) that both programs draw for each datum; sum others out in the law of x"
    )


def many_sites(model_trace: Trace, guide_trace: Trace) -> bool:
    """Return whether programs have more than one real code and one observation.

    Raises
    ------
    ConfigError
        If a site is marked for enumeration that only one program has.
    """
    shared = latent_sites(model_trace, guide_trace)
    names = {q["name"] for q, _ in shared}
    for trace in (guide_trace, model_trace):
        for site in variable_sites(trace):
            marked = site["infer"].get("enumerate") and not site["is_observed"]
            if marked and site["name"] not in names:
                raise not_enumerated(site["name"])
    if stray_sites(model_trace, guide_trace) or not shared or not observed_sites(model_trace):
        return False  # whatever else it is, it is refused
    both = (p["fn"].support for _, p in shared), (q["fn"].support for q, _ in shared)
    discrete = all(any(s.is_discrete for s in supports) for supports in both)
    return len(shared) > 1 or len(observed_sites(model_trace)) > 1 or discrete


class Pair(NamedTuple):
    """The sites of a model and its guide: the code's in both, and the observed one."""

    q: Site
    p: Site
    x: Site


def find_sites(model_trace: Trace, guide_trace: Trace, x: Tensor, latent_dim: int) -> Pair:
    """Find the latent and the observed site, and check their shapes.

    Parameters
    ----------
    model_trace, guide_trace
        Of the programs on ``x``.
    x
        Observations ``(n, *event_shape)``.
    latent_dim
        Dimension of a code.

    Raises
    ------
    ConfigError
        If a datum has not one code and one observation, each with a law of its own.
    """
    latent, observed = latent_sites(model_trace, guide_trace), observed_sites(model_trace)
    stray = _without_obs_mask(stray_sites(model_trace, guide_trace))
    codes, data = names_of([q for q, _ in latent]), names_of(observed)
    if not latent or not observed:
        raise ConfigError(
            "needs, in model and guide, a latent site of one name for each datum, and in the "
            f"model an observed one; shared by both: {codes}, observed: {data}"
            + (f"; {stray}" if stray else "")
        )
    if stray:
        raise ConfigError(f"needs every latent site in model and guide; {stray}")
    if len(latent) > 1 or len(observed) > 1:
        raise ConfigError(
            "needs one latent site for each datum, one observed site and no other; got latent "
            f"{codes} and observed {data}; draw one vector (its slices can play the parts of many "
            "codes), and observe one tensor"
        )
    pair = Pair(*latent[0], observed[0])
    n, *event_shape = x.shape
    for what, site, event in (
        ("latent", pair.q, [latent_dim]),
        ("latent", pair.p, [latent_dim]),
        ("observed", pair.x, event_shape),
    ):
        _check_law(f"at its {what} site '{site['name']}'", site, n, event)
    return pair


def _check_law(place: str, site: Site, n: int, event: list[int]) -> None:
    law = site["fn"]
    if list(law.event_shape) != event:
        inside = _plates_of(site)
        raise ConfigError(
            f"{place} needs event shape {tuple(event)}, got {tuple(law.event_shape)}{inside}; "
            "to_event() makes event dimensions" + (flat_hint(event) if "observed" in place else "")
        )
    check_site(place, site, n)


def _plates_of(site: Site) -> str:
    plates = [f"'{frame.name}'" for frame in site["cond_indep_stack"]]
    return f" in plates {', '.join(plates)}" if len(plates) > 1 else ""


def check_site(place: str, site: Site, n: int) -> None:
    """Check that a site has one law with a density for each of ``n`` data, and fitting weights.

    Raises
    ------
    ConfigError
        That begins with ``place``.
    """
    law, inside = site["fn"], _plates_of(site)
    if list(law.batch_shape) != [n]:
        raise ConfigError(
            f"{place} needs one law for each datum, batch shape ({n},) for {n} of them, got "
            f"{tuple(law.batch_shape)}{inside}"
        )
    for weight in ("scale", "mask"):
        shape = tuple(getattr(site[weight], "shape", ()))
        if shape not in ((), (1,), (n,)):
            raise ConfigError(
                f"{place} has a {weight} of shape {shape} for {n} data: it must be made for the "
                "data that a program is called with"
            )
    if isinstance(_base(law), Delta):
        raise ConfigError(
            f"{place} has a Delta, which has no density: give it a law with a spread (a narrow "
            "normal one comes near)"
        )


def check_laws(model: Any, pair: Pair, x: Tensor) -> None:
    """Check that laws and weights are what bounds and measures take them for.

    Parameters
    ----------
    model
        The program, whose latent and observed site are named as in ``pair``.
    pair
        Of a run on ``x``.
    x
        Observations ``(n, *event_shape)`` that differ from each other, between 0 and 1.

    Raises
    ------
    ConfigError
        If codes cannot be differentiated, weights of the code differ between model and guide, or a
        law of the model depends on x, on a datum's place, or on what is masked.
    """
    q, p, observed = pair
    z, name = q["value"], q["name"]
    if not q["fn"].has_rsample:
        raise ConfigError(
            f"at its latent site '{name}' the guide has a {type(_base(q['fn'])).__name__}, which "
            "has no reparameterised draws (rsample): objectives here differentiate through them"
        )
    check_weights(q, p, len(x))
    if observed["value"].shape != x.shape or not torch.equal(observed["value"].to(x), x):
        raise ConfigError(
            f"at its observed site '{observed['name']}' observes something else than the data that "
            "it is called with: laws are compared with the data as they are"
        )
    for mask in inner_masks(observed["fn"]):
        if isinstance(mask, Tensor) and not (mask == mask[:1]).all():
            raise ConfigError(
                f"masks other elements of its observed site '{observed['name']}' for one datum "
                "than for another: p(x|z) must be one law for all; a mask of whole data "
                "(poutine.mask) may differ"
            )
    each = p["fn"].log_prob(z[:1].expand_as(z))
    if not torch.allclose(each, each[:1].expand_as(each), equal_nan=True):
        raise ConfigError(f"at its latent site '{name}' has another p(z) for each datum")
    _check_blind(model, pair, x)


def check_weights(q: Site, p: Site, n: int, *, full: bool = False) -> None:
    """Check that a latent site is weighted alike in both programs, and no unit is masked.

    ``full``: masks that leave all units are let pass.

    Raises
    ------
    ConfigError
        With its name.
    """
    name = q["name"]
    for key in ("scale", "mask"):
        if not _same(q[key], p[key], n):
            raise ConfigError(
                f"at its latent site '{name}' has one {key} in the model and another in the "
                f"guide: Pyro's own bounds disagree on what that means; use one poutine.{key} in "
                "both"
            )
    for site, where in ((q, "guide"), (p, "model")):
        masks = inner_masks(site["fn"])
        if masks and not (full and all(torch.as_tensor(mask).all() for mask in masks)):
            raise ConfigError(
                f"masks units of its latent site '{name}' in the {where}: a masked unit has no "
                "density; leave it out of latent_dim"
            )


def _check_blind(model: Any, pair: Pair, x: Tensor) -> None:
    """Refuse a model whose laws are computed from the values of x."""
    source = x.clone()
    z, other = pair.q["value"].clone(), x.clone()
    given = poutine.condition(model, data={pair.q["name"]: z})
    with Dataflow(source) as flow:
        trace = poutine.trace(given).get_trace(source)
        for what, site, value in (("p(z)", pair.p, z), ("p(x|z)", pair.x, other)):
            if flow.reaches(trace.nodes[site["name"]]["fn"].log_prob(value)):
                raise ConfigError(
                    f"at its site '{site['name']}' computes {what} from x: to decode, the model is "
                    "run without x, on zeros"
                )


class Dataflow(TorchDispatchMode):
    """Within it, notes which tensors are computed from the values of a given one."""

    #: What is made like a tensor takes its shape and type, not its values.
    _BLIND = frozenset(
        {f"{kind}_like" for kind in ("zeros", "ones", "empty", "full", "rand", "randn", "randint")}
        | {f"new_{kind}" for kind in ("zeros", "ones", "empty", "full", "empty_strided")}
    )

    def __init__(self, source: Tensor) -> None:
        super().__init__()
        # Held, so that no later tensor gets the storage of one that is gone.
        self._held = [source]
        self._reached = {_storage(source)}

    def reaches(self, value: Any) -> bool:
        """Return whether a value is a tensor that holds what was computed from the source."""
        return isinstance(value, Tensor) and _storage(value) in self._reached

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        given = tree_leaves((args, kwargs))
        if func.overloadpacket.__name__ not in self._BLIND and any(map(self.reaches, given)):
            written = [
                value
                for value, argument in zip(args, func._schema.arguments, strict=False)
                if argument.alias_info is not None and argument.alias_info.is_write
            ]
            for tensor in tree_leaves((result, written)):
                if isinstance(tensor, Tensor):
                    self._held.append(tensor)
                    self._reached.add(_storage(tensor))
        return result


def _storage(tensor: Tensor) -> int:
    try:
        return tensor.untyped_storage()._cdata
    except NotImplementedError:  # a wrapper of another tensor, which is seen itself
        return id(tensor)


def _base(law: Distribution) -> Distribution:
    """Return what a law is made of, below event dimensions and masks."""
    while isinstance(law, Independent | MaskedDistribution):
        law = law.base_dist
    return law


def inner_masks(law: Distribution) -> list[Tensor | bool]:
    """Return the masks below the event dimensions of a law."""
    masks = []
    while isinstance(law, Independent | MaskedDistribution):
        if isinstance(law, MaskedDistribution):
            masks.append(law._mask)
        law = law.base_dist
    return masks


def _same(a: Any, b: Any, n: int) -> bool:
    """Return whether two scales, or two masks, are equal for each of ``n`` data."""
    if a is b:
        return True
    full = [torch.as_tensor(True if v is None else v).expand(n) for v in (a, b)]
    return torch.equal(*(v.double() for v in full))


def _without_obs_mask(stray: str) -> str:
    """Explain the site that ``obs_mask`` makes, where there is one."""
    if "_unobserved" not in stray:
        return stray
    return f"{stray} (obs_mask makes latent what is not observed: mask the law of x instead)"


def names_of(sites: Sequence[Site]) -> str:
    """Return the names of sites, or ``none``."""
    return ", ".join(site["name"] for site in sites) or "none"
