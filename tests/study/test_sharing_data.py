"""Workers read the runner's data: no process has a copy of its own."""

from __future__ import annotations

import pickle
from multiprocessing.reduction import ForkingPickler

import numpy as np
import torch

from pyrovae.datasets import load_dataset
from pyrovae.study.execute.workers import _received, _shared


def test_a_worker_sees_what_the_runner_writes_into_its_data() -> None:
    runner = _shared(load_dataset("sprites", size=16, n_train=8, n_test=4))
    worker = _received(pickle.loads(ForkingPickler.dumps(runner)))
    for split in (runner.train, runner.test):
        split.values.fill_(7)
        assert isinstance(split.factors, torch.Tensor)
        split.factors.fill_(7)
    for split in (worker.train, worker.test):
        assert (split.values == 7).all()
        assert isinstance(split.factors, np.ndarray)
        assert (split.factors == 7).all()
