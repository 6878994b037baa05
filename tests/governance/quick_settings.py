"""The product's settings, with less patience for workers that went silent."""

from config.settings import *  # noqa: F403

JOB_HEARTBEAT_SECONDS = 0.5
JOB_STALLED_AFTER_SECONDS = 3.0
