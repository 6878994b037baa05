"""Thrift's compact protocol, as far as it takes to find a few fields and to step over all others.

Source: the Apache Thrift specification, `thrift-compact-protocol.md`. Nothing is built of what is stepped over, and
every item takes at least one byte, so reading costs no more than the bytes are long.
"""

from collections.abc import Iterator

from modelnotary.tables.errors import TableError

TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT, UUID = range(1, 14)

_DEPTH_LIMIT = 32
_VARINT_BITS = 70
_LONG_LIST = 15
_SIZES = {TRUE: 0, FALSE: 0, BYTE: 1, DOUBLE: 8, UUID: 16}


class CompactReader:
    """Reads values one after the other.

    Every method raises a TableError where the bytes end too early or are none of the protocol.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def fields(self) -> Iterator[tuple[int, int]]:
        """Give number and type of each field of a struct; whoever takes one reads or skips its value."""
        number = 0
        while header := self._byte():
            kind = header & 0x0F
            number = number + (header >> 4) if header >> 4 else self.integer()
            yield number, kind

    def integer(self) -> int:
        """Read a signed integer of 16 to 64 bits."""
        value = self._varint()
        return (value >> 1) ^ -(value & 1)

    def small_integer(self) -> int:
        """Read a signed integer of 8 bits."""
        value = self._byte()
        return value - 256 if value > 127 else value  # noqa: PLR2004 -- two's complement

    def binary(self) -> bytes:
        """Read a string of bytes."""
        return self._take(self._varint())

    def items(self) -> tuple[int, int]:
        """Read the length of a list or a set, and the type of its items."""
        header = self._byte()
        count = header >> 4
        if count == _LONG_LIST:
            count = self._varint()
        if count > len(self._data) - self._at:
            raise TableError("its footer states more items than it has bytes")
        return count, header & 0x0F

    def skip(self, kind: int, depth: int = 0) -> None:
        """Step over the value of a field."""
        if depth > _DEPTH_LIMIT:
            raise TableError("its footer nests too deeply")
        if kind in _SIZES:
            self._take(_SIZES[kind])
        elif kind in {I16, I32, I64}:
            self._varint()
        elif kind == BINARY:
            self.binary()
        elif kind in {LIST, SET}:
            count, item = self.items()
            self._skip_items([item] * min(count, 1), count, depth)
        elif kind == MAP:
            self._skip_map(depth)
        elif kind == STRUCT:
            for _, field in self.fields():
                self.skip(field, depth + 1)
        else:
            raise TableError("its footer holds a value of no known type")

    def _skip_map(self, depth: int) -> None:
        count = self._varint()
        if not count:
            return
        kinds = self._byte()
        if count > len(self._data) - self._at:
            raise TableError("its footer states more items than it has bytes")
        self._skip_items([kinds >> 4, kinds & 0x0F], count, depth)

    def _skip_items(self, kinds: list[int], count: int, depth: int) -> None:
        for _ in range(count):
            for kind in kinds:
                # Outside a struct a truth value is a byte of its own.
                self.skip(BYTE if kind in {TRUE, FALSE} else kind, depth + 1)

    def _varint(self) -> int:
        value = 0
        for shift in range(0, _VARINT_BITS, 7):
            byte = self._byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:  # noqa: PLR2004 -- the bit that says another byte follows
                return value
        raise TableError("its footer holds a number of too many bytes")

    def _byte(self) -> int:
        return self._take(1)[0]

    def _take(self, count: int) -> bytes:
        end = self._at + count
        if end > len(self._data):
            raise TableError("its footer is cut off")
        taken = self._data[self._at : end]
        self._at = end
        return taken
