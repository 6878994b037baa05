"""What can be wrong with a tier template, and with the fields that an assessment froze."""

from governance.policy.errors import DocumentError
from modelnotary.errors import ModelNotaryError


class TierTemplateError(DocumentError):
    """A tier template cannot be used."""

    code = "tier-template-invalid"


class TierFieldsError(ModelNotaryError):
    """The fields frozen for an assessment cannot be read, or are not what the template reads."""

    code = "tier-fields-unreadable"
