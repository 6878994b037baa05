"""What the API refuses before any service is asked."""

from rest_framework import status
from rest_framework.exceptions import APIException


class LengthRequired(APIException):
    """The body came without its length, so that a cut-off upload could not be told from a whole one."""

    status_code = status.HTTP_411_LENGTH_REQUIRED
    default_code = "length-required"
    default_detail = "send the header Content-Length with the number of bytes"


class PayloadTooLarge(APIException):
    """The body is longer than the address takes."""

    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_code = "payload-too-large"

    def __init__(self, limit: int) -> None:
        super().__init__(f"the body has more than {limit} bytes, which is all that is taken here")
        self.limit = limit
