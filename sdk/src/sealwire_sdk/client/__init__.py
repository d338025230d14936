"""The Web Services API: `Sealwire` waits, `AsyncSealwire` is for asyncio; both have a method for every operation.

What the API takes and answers is in `models`.
"""

from sealwire_sdk.client import models
from sealwire_sdk.client.cloud import AsyncSealwire, Sealwire
from sealwire_sdk.client.problems import (
    Erased,
    FieldProblem,
    Malformed,
    NoAnswer,
    NotAuthenticated,
    NotFound,
    Problem,
    RateLimited,
    Refused,
    Unavailable,
)

__all__ = [
    "AsyncSealwire",
    "Erased",
    "FieldProblem",
    "Malformed",
    "NoAnswer",
    "NotAuthenticated",
    "NotFound",
    "Problem",
    "RateLimited",
    "Refused",
    "Sealwire",
    "Unavailable",
    "models",
]
