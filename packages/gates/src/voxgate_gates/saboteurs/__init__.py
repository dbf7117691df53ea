"""Every check's saboteur: proof that the check can fail. A new module of saboteurs is added to the tuple below."""

from voxgate_gates.saboteurs import build, data, docs, realtime, security
from voxgate_gates.saboteurs.saboteur import Exchange, Lie, Part, Saboteur, World, parts_of

__all__ = ["ALL_SABOTEURS", "Exchange", "Lie", "Part", "Saboteur", "World", "parts_of"]

ALL_SABOTEURS: tuple[Saboteur, ...] = (
    *security.SABOTEURS,
    *realtime.SABOTEURS,
    *build.SABOTEURS,
    *data.SABOTEURS,
    *docs.SABOTEURS,
)
