"""Black-box release checks against a URL: runner, harness, reports."""

__all__ = ["__version__"]

__version__ = "0.2.0rc2"
