"""JSON logs with trace ids, and redaction of secrets in the final line."""

__all__ = ["__version__"]

__version__ = "0.2.0rc2"
