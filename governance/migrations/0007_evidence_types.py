"""Types of evidence come from the registry, which the service asks."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("governance", "0006_decision_endings")]
    operations = [
        migrations.AlterField(
            model_name="evidence",
            name="type",
            field=models.CharField(max_length=40),
        ),
    ]
