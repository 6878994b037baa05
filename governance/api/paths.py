"""Names within addresses."""

from django.urls import register_converter
from django.urls.converters import StringConverter


class NameConverter(StringConverter):
    """An id, a digest or a slug: never a zero byte, which no database column could hold."""

    regex = "[0-9A-Za-z_:.-]{1,100}"


class TileConverter(StringConverter):
    """What may be the path of a tile; whether it is one, `Tile` decides."""

    regex = "tile/[0-9a-z./]{1,100}"


register_converter(NameConverter, "name")
register_converter(TileConverter, "tile")
