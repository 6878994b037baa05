"""The root of every error this product raises on purpose."""

from typing import ClassVar


class ModelNotaryError(Exception):
    """Something was refused or did not verify, for a reason worth telling a person.

    Attributes:
        code: A stable kebab-case name of the reason, for programs.
    """

    code: ClassVar[str] = "model-notary-error"
