"""Origin allowlists, short-lived tokens, authenticators, revocation and quotas."""

__all__ = ["__version__"]

__version__ = "0.2.0rc2"
