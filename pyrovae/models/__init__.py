"""Models: a prior, a decoder and a likelihood, an encoder and a posterior, as Pyro programs."""
