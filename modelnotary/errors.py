"""The root of every error this product raises on purpose."""

from typing import ClassVar


class ModelNotaryError(Exception):
    """Something the caller can understand and act upon.

    ``code`` is a stable kebab-case name that programs may compare; the message is for people.
    """

    code: ClassVar[str] = "model-notary-error"


class TimeFormatError(ModelNotaryError):
    """A time is not RFC 3339 in UTC with ``Z``, or carries no time zone."""

    code = "time-malformed"


class IdFormatError(ModelNotaryError):
    """An identifier, or the prefix for one, is not in the product's form."""

    code = "id-malformed"
