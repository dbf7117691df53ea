"""Issues session tokens and verifies them.

Verification goes from what costs nothing and reveals nothing to what changes the world: shape, key, signature, issuer
and audience, times, origin, scope, revocation, and only then the one use of a ``jti``. A token that fails anywhere
leaves no trace in the store. Times are judged by the ``Clock`` port, without leeway.

Tokens are made by PyJWT, and signatures are checked by its algorithms. Its ``decode`` is not called: the guard has read
the token already, and a second reader could only agree, at more than the cost of all other steps together, or disagree.
The tests hold the two against each other.

Sources: RFC 7519, RFC 8725 sections 3.1 (algorithms belong to keys), 3.8 to 3.11 (issuer, audience, type).
"""

import secrets
from dataclasses import dataclass, field
from typing import Final

import jwt

from voxgate_core import Clock, Environment, Grant, KeyValue, Leash, VoxgateError
from voxgate_security.guard import (
    ALGORITHMS,
    MAX_TOKEN,
    PREFIX,
    TOKEN_TYPE,
    GuardedToken,
    inspect,
    is_scope,
    is_subject,
    leash_to_claim,
)
from voxgate_security.keyring import KeyRing, TokenKey
from voxgate_security.replay import ReplayGuard
from voxgate_security.revocation import Revocations

__all__ = ["AUDIENCE", "DEFAULT_SCOPE", "ISSUER", "IssuedToken", "TokenIssuer", "TokenRequest", "Verifier"]

ISSUER: Final = "voxgate"
AUDIENCE: Final = "voxgate-realtime"
DEFAULT_SCOPE: Final = frozenset({"realtime"})
ID_BYTES: Final = 16
"""Random bytes in a ``jti`` and a ``sid``: too many to guess or to meet twice."""


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """What a token shall allow. ``ttl`` is seconds, ``None`` or too many mean the environment's own.

    ``origin`` binds the token to one browser origin; unbound tokens may be used from any admitted one.
    """

    subject: str
    origin: str | None = None
    scope: frozenset[str] = DEFAULT_SCOPE
    ttl: int | None = None
    leash: Leash = field(default_factory=Leash)


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A signed token and what it grants."""

    token: str = field(repr=False)
    grant: Grant


class TokenIssuer:
    """Signs tokens with the active key of ``keyring``."""

    def __init__(
        self,
        keyring: KeyRing,
        clock: Clock,
        environment: Environment,
        *,
        issuer: str = ISSUER,
        audience: str = AUDIENCE,
    ) -> None:
        self._keyring = keyring
        self._clock = clock
        self._max_ttl = environment.token_ttl
        self._issuer = issuer
        self._audience = audience

    @property
    def max_ttl(self) -> int:
        """The longest life of a token here, in seconds."""
        return self._max_ttl

    def issue(self, request: TokenRequest) -> IssuedToken:
        """A token that is good from this second on.

        Raises :class:`VoxgateError` ``invalid_input`` naming the field for a subject, scope or ``ttl`` that no token
        can carry, and for a leash that makes the token too long.
        """
        if not is_subject(request.subject):
            raise _unfit("sub", "1 to 256 printable characters, no space at either end")
        if not request.scope or not all(map(is_scope, request.scope)):
            raise _unfit("scope", "one or more words of letters, digits and - _ . : /")
        ttl = self._max_ttl if request.ttl is None else min(request.ttl, self._max_ttl)
        if ttl < 1:
            raise _unfit("ttl", "at least 1 second")
        now = int(self._clock.now())
        grant = Grant(
            subject=request.subject,
            session_id=f"sess_{secrets.token_urlsafe(ID_BYTES)}",
            token_id=secrets.token_urlsafe(ID_BYTES),
            origin=request.origin,
            scope=request.scope,
            issued_at=now,
            expires_at=now + ttl,
            leash=request.leash,
        )
        token = self._sign(grant)
        try:
            inspect(token)
        except VoxgateError as error:
            # What the guard would refuse must not be handed out: the fault lies in what was asked for.
            reason = str((error.details or {}).get("reason"))
            unfit = reason if reason in ("origin", "scope") else "leash"
            raise _unfit(unfit, "does not fit into a token") from None
        return IssuedToken(token, grant)

    def _sign(self, grant: Grant) -> str:
        key = self._keyring.active
        assert key.signing is not None
        claims: dict[str, object] = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": grant.subject,
            "sid": grant.session_id,
            "jti": grant.token_id,
            "iat": grant.issued_at,
            "nbf": grant.issued_at,
            "exp": grant.expires_at,
            "origin": grant.origin,
            "scope": " ".join(sorted(grant.scope)),
        }
        leash = leash_to_claim(grant.leash)
        if leash:
            claims["leash"] = leash
        token = jwt.encode(claims, key.signing, key.algorithm, headers={"kid": key.kid, "typ": TOKEN_TYPE})
        if len(PREFIX) + len(token) > MAX_TOKEN:
            raise _unfit("leash", "too large to ride in a token")
        return token


class Verifier:
    """Core's ``TokenVerifier`` over a key ring and a shared store.

    ``required_scope`` is a word every token must carry, or ``None``.
    """

    def __init__(
        self,
        keyring: KeyRing,
        clock: Clock,
        environment: Environment,
        store: KeyValue,
        revocations: Revocations | None = None,
        *,
        issuer: str = ISSUER,
        audience: str = AUDIENCE,
        required_scope: str | None = None,
    ) -> None:
        self._keyring = keyring
        self._clock = clock
        self._max_ttl = environment.token_ttl
        self._replays = ReplayGuard(store, clock)
        self._revocations = revocations if revocations is not None else Revocations(store, clock)
        self._issuer = issuer
        self._audience = audience
        self._required_scope = required_scope

    async def verify(self, token: str, *, origin: str | None, single_use: bool) -> Grant:
        """The grant inside ``token``, presented from ``origin``; spent when ``single_use``.

        A token that was spent is void everywhere, also where a token may be used again.

        Raises :class:`VoxgateError`: ``credential_invalid``, ``token_expired``, ``token_wrong_origin``,
        ``policy_refused`` (scope), ``token_revoked``, ``token_replayed``, or ``unavailable`` when the store can't
        be asked. Nothing else escapes, whatever ``token`` holds.
        """
        grant = self.authenticate(token)
        if grant.origin is not None and grant.origin != origin:
            raise VoxgateError("token_wrong_origin")
        if self._required_scope is not None and self._required_scope not in grant.scope:
            raise VoxgateError("policy_refused", "the token lacks the scope for this")
        if not single_use:
            await self._replays.check(grant)
        await self._revocations.check(grant)
        if single_use:
            await self._replays.spend(grant)
            # A revocation may have come in while the store was asked; no await follows this one, so a later
            # revocation finds the session among the live ones.
            await self._revocations.check(grant)
        if grant.expires_at <= self._clock.now():
            # It expired while a slow store was asked, and the record of an earlier use may have expired with it.
            raise VoxgateError("token_expired")
        return grant

    def authenticate(self, token: str) -> Grant:
        """The grant inside ``token`` as far as the token alone can tell: no store is asked, nothing is spent.

        Raises :class:`VoxgateError` ``credential_invalid`` or ``token_expired``.
        """
        guarded = inspect(token)
        grant = guarded.grant
        key = self._keyring.get(guarded.key_id)
        if key is None or key.algorithm != guarded.algorithm or not key.accepts(grant.issued_at):
            raise _refused("key")
        if not _is_signed(guarded, key):
            raise _refused("signature")
        if guarded.issuer != self._issuer or guarded.audience != self._audience:
            raise _refused("iss" if guarded.issuer != self._issuer else "aud")
        now = self._clock.now()
        life = grant.expires_at - grant.issued_at
        if not 0 < life <= self._max_ttl or not grant.issued_at <= guarded.not_before < grant.expires_at:
            raise _refused("life")
        if guarded.not_before > now or grant.issued_at > now:
            raise _refused("not_yet")
        if grant.expires_at <= now:
            raise VoxgateError("token_expired")
        return grant


def _is_signed(guarded: GuardedToken, key: TokenKey) -> bool:
    try:
        return _ALGORITHMS[key.algorithm].verify(guarded.signing_input, key.verifying, guarded.signature)
    except Exception:
        # Whatever cryptography throws at hostile input is a refusal, not an error of ours.
        return False


_ALGORITHMS: Final = {name: jwt.get_algorithm_by_name(name) for name in ALGORITHMS}


def _refused(reason: str) -> VoxgateError:
    return VoxgateError("credential_invalid", details={"reason": reason})


def _unfit(name: str, rule: str) -> VoxgateError:
    return VoxgateError("invalid_input", details={name: rule})
