"""Names within addresses."""

from django.urls import register_converter
from django.urls.converters import StringConverter


class NameConverter(StringConverter):
    """An id, a digest or a slug: never a zero byte, which no database column could hold."""

    regex = "[0-9A-Za-z_:.-]{1,100}"


register_converter(NameConverter, "name")
