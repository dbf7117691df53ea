"""The conversation store: what the relay hears, kept as far as the deployment and each token allow.

Nothing is imported here: a gateway that keeps nothing must not load the database code, which takes longer than the rest.
"""

__all__ = ()
