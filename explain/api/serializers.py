"""What the assessments API takes."""

from rest_framework import serializers

from governance.api.serializers import DigestField, StrictSerializer


class AssessmentInput(StrictSerializer):
    kind = serializers.ChoiceField(choices=(("explanation", "Explanation"), ("bias", "Bias assessment")))
    model = DigestField(help_text="Digest of the model version.")
    dataset = DigestField(help_text="Digest of the data set version.")
    parameters = serializers.DictField(
        required=False,
        default=dict,
        help_text="For bias: label, favourable, sensitive, and if wanted reference, min_group and lines.",
    )
