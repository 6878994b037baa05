"""What can be wrong with a table."""

from modelnotary.errors import ModelNotaryError


class TableError(ModelNotaryError):
    """Bytes are not a well-formed table, or one beyond what is read here.

    The message never quotes a cell: it may be a patient's.
    """

    code = "table-malformed"
