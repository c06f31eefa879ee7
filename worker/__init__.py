"""Lossgate's worker: from a delivery event to a verdict."""

from importlib.metadata import version

__version__ = version("lossgate")
