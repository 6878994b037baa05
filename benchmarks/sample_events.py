"""The events that the benchmarks write: canonical JSON of about 470 bytes, as in practice."""

EVENT = (
    '{"actor":{"id":"usr_0192f0","kind":"person","name":"Olivia Grant"},"at":"2026-11-21T10:00:00.000000Z",'
    f'"data":{{"reason":"{"x" * 200}"}},"id":"evt_%s","log":"lineage",'
    '"subject":{"digest":null,"id":"sys_0192f0","kind":"system"},"type":"system.registered","v":1}'
)
"""With 32 hexadecimal digits, it is an entry of the log `lineage`."""

RANDOM_EVENT = f"convert_to(format('{EVENT}', replace(uuidv7()::text, '-', '')), 'UTF8')"
"""An SQL expression that gives another event each time, with an id as the product makes them: in order of time."""


def event(number: int) -> bytes:
    """The event of this number."""
    return (EVENT % f"{number:032x}").encode()
