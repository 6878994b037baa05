"""The signer reads what is stored of its own signatures.

So it knows whether the checkpoint by which a key handed over reached the log, and notices a memory that is older than
a signature.
"""

from django.db import migrations

GRANT = """
SET LOCAL ROLE mn_owner;
GRANT SELECT ON ledger.checkpoint TO mn_signer;
RESET ROLE;
"""


class Migration(migrations.Migration):
    """Give the signer's role the right to read checkpoints."""

    dependencies = [("audit", "0007_partitions")]
    operations = [migrations.RunSQL(GRANT, migrations.RunSQL.noop)]
