"""One envelope for every answer: success, problem details, security headers."""

__all__ = ["__version__"]

__version__ = "0.2.0rc2"
