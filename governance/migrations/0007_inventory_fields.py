"""What the inventory holds of models, their versions and those of data sets, beyond their bytes."""

import django.contrib.postgres.fields
import django.db.models.deletion
from functools import partial

import modelnotary.ids
from django.conf import settings
from django.db import migrations, models

from governance.enums import PhiType
from governance.migrations._guards import insert_only


class Migration(migrations.Migration):
    dependencies = [
        ("governance", "0006_decision_endings"),
    ]

    operations = [
        migrations.CreateModel(
            name="ModelDescription",
            fields=[
                (
                    "id",
                    models.CharField(
                        default=partial(modelnotary.ids.new_id, "mds"),
                        editable=False,
                        max_length=40,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("number", models.PositiveIntegerField()),
                (
                    "methodology",
                    models.CharField(
                        choices=[
                            ("statistical", "Statistical"),
                            ("ml", "Machine learning"),
                            ("rules", "Rules"),
                            ("llm", "Language model"),
                            ("expert", "Expert judgement"),
                            ("hybrid", "Hybrid"),
                        ],
                        max_length=20,
                    ),
                ),
                (
                    "provenance",
                    models.CharField(
                        choices=[("internal", "Made in-house"), ("vendor", "Bought from a vendor")], max_length=20
                    ),
                ),
                (
                    "vendor",
                    models.CharField(blank=True, help_text="Who sells it, where it was bought.", max_length=200),
                ),
                ("restrictions_on_use", models.TextField(help_text="What it must not be used for.")),
                ("described_at", models.DateTimeField()),
            ],
            options={
                "ordering": ("-number",),
            },
        ),
        migrations.AddField(
            model_name="datasetversion",
            name="classification",
            field=models.CharField(blank=True, help_text="Where it differs from the data set's.", max_length=80),
        ),
        migrations.AddField(
            model_name="datasetversion",
            name="collection_method",
            field=models.TextField(blank=True),
        ),
        migrations.AddField(
            model_name="datasetversion",
            name="deidentification",
            field=models.CharField(
                blank=True,
                choices=[
                    ("safe_harbor", "Safe harbor: all eighteen identifiers removed, § 164.514(b)(2)"),
                    ("expert_determination", "Expert determination, § 164.514(b)(1)"),
                    ("none", "Not de-identified"),
                ],
                max_length=20,
            ),
        ),
        migrations.AddField(
            model_name="datasetversion",
            name="known_biases",
            field=models.TextField(blank=True),
        ),
        migrations.AddField(
            model_name="datasetversion",
            name="legal_basis",
            field=models.CharField(blank=True, max_length=500),
        ),
        migrations.AddField(
            model_name="datasetversion",
            name="phi_types",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(choices=[(item.value, item.label) for item in PhiType], max_length=20),
                null=True,
                size=None,
            ),
        ),
        migrations.AddField(
            model_name="modelversion",
            name="container_digest",
            field=models.CharField(blank=True, max_length=71),
        ),
        migrations.AddField(
            model_name="modelversion",
            name="environment_lock_digest",
            field=models.CharField(blank=True, max_length=71),
        ),
        migrations.AddField(
            model_name="modelversion",
            name="framework",
            field=models.CharField(
                blank=True, help_text="With its version, for instance xgboost 3.1.2.", max_length=80
            ),
        ),
        migrations.AddField(
            model_name="modelversion",
            name="run",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="model_versions",
                to="governance.run",
            ),
        ),
        migrations.AddField(
            model_name="modelversion",
            name="source_uri",
            field=models.CharField(blank=True, help_text="Where the bytes came from.", max_length=500),
        ),
        migrations.AddConstraint(
            model_name="datasetversion",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("deidentification", "safe_harbor"), _negated=True),
                    ("phi_types__isnull", True),
                    ("phi_types", []),
                    _connector="OR",
                ),
                name="dataset_version_safe_harbor_leaves_no_identifier",
            ),
        ),
        migrations.AddField(
            model_name="modeldescription",
            name="described_by",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
            ),
        ),
        migrations.AddField(
            model_name="modeldescription",
            name="developer",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
            ),
        ),
        migrations.AddField(
            model_name="modeldescription",
            name="model",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="descriptions", to="governance.model"
            ),
        ),
        migrations.AddField(
            model_name="modeldescription",
            name="owner",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
            ),
        ),
        migrations.AddField(
            model_name="modeldescription",
            name="validator",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
            ),
        ),
        migrations.AddConstraint(
            model_name="modeldescription",
            constraint=models.UniqueConstraint(fields=("model", "number"), name="model_description_number_once"),
        ),
        migrations.AddConstraint(
            model_name="modeldescription",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("provenance", "internal"), ("vendor", "")),
                    models.Q(("provenance", "vendor"), models.Q(("vendor", ""), _negated=True)),
                    _connector="OR",
                ),
                name="model_description_names_the_vendor",
            ),
        ),
        migrations.AddConstraint(
            model_name="modeldescription",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("validator__isnull", True),
                    models.Q(
                        models.Q(("validator", models.F("owner")), _negated=True),
                        models.Q(
                            ("developer__isnull", True),
                            models.Q(("validator", models.F("developer")), _negated=True),
                            _connector="OR",
                        ),
                    ),
                    _connector="OR",
                ),
                name="model_validator_is_independent",
            ),
        ),
        migrations.RunSQL(insert_only("governance_modeldescription"), migrations.RunSQL.noop),
    ]
