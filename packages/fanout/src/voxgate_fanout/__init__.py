"""Durable delivery of voice events to webhooks and PHP backends."""

__all__ = ["__version__"]

__version__ = "0.2.0rc2"
