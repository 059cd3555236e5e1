"""Parameters of a Pyro program without the global parameter store."""

from __future__ import annotations

from typing import Any

from pyro.poutine.messenger import Messenger


class OwnParams(Messenger):
    """Answers ``pyro.param(name, tensor)`` with ``tensor`` itself.

    ``pyro.module`` announces a module's parameters through ``pyro.param``; by default they then
    live in a store that is global to the process. Under ``torch.func`` the module's parameters are
    the tensors of one transform, which must not leave it.
    """

    def _pyro_param(self, msg: dict[str, Any]) -> None:
        if len(msg["args"]) > 1:
            msg["value"] = msg["args"][1]
            msg["done"] = True
            msg["stop"] = True
