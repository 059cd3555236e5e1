"""``python -m pyrovae``."""

from pyrovae.cli import main

main(prog_name="pyrovae")
