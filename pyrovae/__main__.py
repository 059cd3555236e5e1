"""``python -m pyrovae``."""

from pyrovae.commands.main import main

main(prog_name="pyrovae")
