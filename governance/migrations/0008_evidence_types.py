"""Types of evidence come from the registry, which the service asks."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("governance", "0007_inventory_fields")]
    operations = [
        migrations.AlterField(
            model_name="evidence",
            name="type",
            field=models.CharField(max_length=40),
        ),
    ]
