"""Origin allowlists, short-lived tokens, authenticators, revocation and quotas."""

from voxgate_security.apikeys import ApiKey, ApiKeys, Role, new_key
from voxgate_security.authenticators import ApiKeyAuthenticator, Authenticator, Authenticators, Caller
from voxgate_security.caller_gate import RequestGate
from voxgate_security.cors import ORIGIN_KEY, CorsMiddleware
from voxgate_security.guard import MAX_SUBJECT, MAX_TOKEN, TOKEN_TYPE, GuardedToken, inspect
from voxgate_security.keyfiles import load_keyring
from voxgate_security.keyring import KeyRing, KeyState, TokenKey
from voxgate_security.oidc import OidcAuthenticator
from voxgate_security.origins import MissingOrigin, OriginPolicy
from voxgate_security.quotas import IssuanceQuotas, client_network
from voxgate_security.replay import ReplayGuard
from voxgate_security.requests import check_public_url
from voxgate_security.revocation import Revocation, RevocationKind, Revocations
from voxgate_security.routes import TokenService, create_router
from voxgate_security.tokens import AUDIENCE, DEFAULT_SCOPE, ISSUER, IssuedToken, TokenIssuer, TokenRequest, Verifier

__all__ = [
    "AUDIENCE",
    "DEFAULT_SCOPE",
    "ISSUER",
    "MAX_SUBJECT",
    "MAX_TOKEN",
    "ORIGIN_KEY",
    "TOKEN_TYPE",
    "ApiKey",
    "ApiKeyAuthenticator",
    "ApiKeys",
    "Authenticator",
    "Authenticators",
    "Caller",
    "CorsMiddleware",
    "GuardedToken",
    "IssuanceQuotas",
    "IssuedToken",
    "KeyRing",
    "KeyState",
    "MissingOrigin",
    "OidcAuthenticator",
    "OriginPolicy",
    "ReplayGuard",
    "RequestGate",
    "Revocation",
    "RevocationKind",
    "Revocations",
    "Role",
    "TokenIssuer",
    "TokenKey",
    "TokenRequest",
    "TokenService",
    "Verifier",
    "__version__",
    "check_public_url",
    "client_network",
    "create_router",
    "inspect",
    "load_keyring",
    "new_key",
]

__version__ = "0.2.0rc2"
