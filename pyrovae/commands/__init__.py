"""Commands in groups, beside :mod:`pyrovae.cli`, which registers them."""
