"""What a report and its verifier agree on."""

REPORT_FORMAT = "modelnotary-report/v1"
"""The ``format`` member of the attached data."""

TWIN_NAME = "report.json"
"""The name of the attached file."""
