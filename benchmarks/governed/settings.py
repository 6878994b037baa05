"""The product's settings with the benchmark's records and the two libraries it is measured against."""

from config.settings import *  # noqa: F403
from config.settings import INSTALLED_APPS as _PRODUCT

INSTALLED_APPS = [*_PRODUCT, "auditlog", "simple_history", "governed"]
