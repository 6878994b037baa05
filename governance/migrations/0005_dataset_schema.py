"""What is counted in the bytes of a data set's version: its format and the digest of its schema."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("governance", "0004_system_declarations")]

    operations = [
        migrations.AddField(
            model_name="datasetversion",
            name="format",
            field=models.CharField(
                choices=[("csv", "CSV table"), ("parquet", "Parquet table"), ("other", "Other")],
                default="other",
                max_length=20,
            ),
        ),
        migrations.AddField(
            model_name="datasetversion",
            name="schema_digest",
            field=models.CharField(blank=True, help_text="Of a table; else empty.", max_length=71),
        ),
        migrations.AlterField(
            model_name="datasetversion",
            name="row_count",
            field=models.PositiveBigIntegerField(help_text="Counted in a table; of other data, as reported."),
        ),
    ]
