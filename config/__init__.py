"""The composition root: settings, URLs, Celery, embedded services. Nothing imports it."""
