"""What the assessments API takes."""

from rest_framework import serializers

from governance.api.serializers import DigestField, StrictSerializer
from governance.enums import JobType

ASSESSMENT_KINDS = [(kind.value, kind.label) for kind in (JobType.EXPLANATION, JobType.BIAS)]


class AssessmentInput(StrictSerializer):
    kind = serializers.ChoiceField(choices=ASSESSMENT_KINDS)
    model = DigestField(help_text="Digest of the model version.")
    dataset = DigestField(help_text="Digest of the data set version.")
    parameters = serializers.DictField(
        required=False,
        default=dict,
        help_text="For bias: label, favourable, sensitive, and if wanted reference, min_group and lines.",
    )
