"""Digests as weftd makes them, for controllers that compare their rows with a switch's (docs/control-protocol.md, "Digests by hand").

A row here is a weft_pb2 message in canonical form: matches and actions as `get` prints them, the bridge `main` left out.
"""
KEY_FIELDS = {"bridge": 1, "port": 2, "table": 2, "flow": 4, "group": 2, "meter": 2}  # fields 1 to n are the key
ALL = (1 << 64) - 1
ODD = 0x9E3779B97F4A7C15


def row_hash(data, seed=0):
    value = (seed ^ ODD) & ALL
    words = [int.from_bytes(data[at:at + 8], "little") for at in range(0, len(data) - len(data) % 8, 8)]
    words += [int.from_bytes(data[len(data) - len(data) % 8:], "little"), len(data)]
    for word in words:
        value = (value ^ word) * ODD & ALL
        value ^= value >> 32
    value = value * 0xFF51AFD7ED558CCD & ALL
    return value ^ value >> 32


def key_of(row):
    """The same message with the fields of its key alone."""
    key = type(row)()
    for field, value in row.ListFields():
        if field.number <= KEY_FIELDS[type(row).__name__.lower()]:
            setattr(key, field.name, value)
    return key


def part_of(row, parts):
    """In which of `parts` (a power of two) the row lies."""
    return row_hash(key_of(row).SerializeToString(deterministic=True)) * parts >> 64


def digest(rows):
    """`rows`: (row, version) pairs. (how many, their digest)"""
    rows = list(rows)
    return len(rows), sum(row_hash(row.SerializeToString(deterministic=True), version) for row, version in rows) & ALL


def differing_parts(ours, theirs, relation, scope="", finest=1024):
    """The parts of `finest` in which two sides differ, found by halving; each side is a function like Client.digest."""
    def search(part, parts):
        asked = {"scope": scope, "relation": relation, "part": part, "parts": parts}
        if ours(**asked) == theirs(**asked):
            return
        if parts == finest:
            yield part
            return
        yield from search(2 * part, 2 * parts)
        yield from search(2 * part + 1, 2 * parts)
    yield from search(0, 1)
