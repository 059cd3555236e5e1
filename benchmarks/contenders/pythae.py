"""pythae's own trainer, with the layers of the hand-written model."""

from __future__ import annotations

import logging
import tempfile

from benchmarks.contenders import Contender, Problem


def contender(problem: Problem) -> Contender:
    """Return an epoch of pythae's ``BaseTrainer`` over as many batches as a burst has."""
    import torch
    from pythae.data.datasets import BaseDataset
    from pythae.models import VAE, VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.trainers import BaseTrainer, BaseTrainerConfig
    from torch import nn

    from benchmarks.contenders.by_hand import layers

    logging.disable(logging.INFO)
    body, width, decoder = layers(problem)

    class Encoder(BaseEncoder):
        def __init__(self) -> None:
            super().__init__()
            self.body = body
            self.loc, self.scale = (nn.Linear(width, problem.latent) for _ in range(2))

        def forward(self, x: torch.Tensor) -> ModelOutput:
            h = self.body(x)
            return ModelOutput(embedding=self.loc(h), log_covariance=self.scale(h))

    class Decoder(BaseDecoder):
        def __init__(self) -> None:
            super().__init__()
            self.body = decoder

        def forward(self, z: torch.Tensor) -> ModelOutput:
            return ModelOutput(reconstruction=self.body(z).sigmoid())

    config = VAEConfig(
        input_dim=problem.shape, latent_dim=problem.latent, reconstruction_loss="bce"
    )
    images = problem.images()[torch.arange(problem.burst * problem.batch) % problem.n]
    trainer = BaseTrainer(
        VAE(config, encoder=Encoder(), decoder=Decoder()),
        BaseDataset(images.float() / 255, torch.zeros(len(images))),
        training_config=BaseTrainerConfig(
            output_dir=tempfile.mkdtemp(),
            per_device_train_batch_size=problem.batch,
            learning_rate=1e-3,
        ),
    )
    trainer.prepare_training()
    epochs = iter(range(1, 10**9))

    def call() -> None:
        trainer.train_step(next(epochs))

    return call, problem.burst
