"""Imports ArviZ once for all workers: they are forked from a process that imports this module."""

from pyrovae.measures.arviz import import_now

import_now()
