"""One process that makes proofs: prints, as JSON, how many a second, and how many pages of 256 hashes each one read.

Arguments: which process this is, from 0, and of how many; each takes its part of the entries.
"""

import json
import random
import sys
import time

import django

django.setup()

from django.db import connections  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402

from audit.models import Entry  # noqa: E402
from audit.selectors import checkpoint_latest, entry_prove  # noqa: E402
from audit.stored_tree import TILES  # noqa: E402


def main() -> None:
    """Prove each entry once, at random; then once more, counting."""
    worker, workers = map(int, sys.argv[1:])
    entries = list(Entry.objects.filter(log="lineage").order_by("seq"))[worker::workers]
    random.Random(worker).shuffle(entries)  # noqa: S311 - an order, no secret
    checkpoint = checkpoint_latest(log="lineage")
    began = time.perf_counter()
    for entry in entries:
        entry_prove(entry=entry, checkpoint=checkpoint)
    rate = len(entries) / (time.perf_counter() - began)
    TILES.forget()
    with CaptureQueriesContext(connections["auditor"]) as asked:
        for entry in entries:
            entry_prove(entry=entry, checkpoint=checkpoint)
    tiles = sum(query["sql"].count("string_agg") for query in asked.captured_queries)
    # And the entry itself was read before.
    print(json.dumps({"rate": rate, "reads": 1 + tiles / len(entries)}))


if __name__ == "__main__":
    main()
