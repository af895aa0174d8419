"""Values of every column type: as literals of each reader, as text that weir writes, and summed."""

import datetime
import decimal
import math
import struct

import pyarrow as pa

UTC = datetime.timezone.utc


class Literal:
    """A value as weir and as DuckDB write it."""

    def __init__(self, value, arrow_type):
        self.value = value
        # No command line can hold it.
        self.writable = not (isinstance(value, str) and "\0" in value)
        self.weir, self.duckdb = literals(value, arrow_type)


def literals(value, arrow_type):
    if isinstance(value, bool):
        return (str(value).lower(),) * 2
    if isinstance(value, datetime.datetime):
        text = "'" + value.astimezone(UTC).isoformat(" ", "microseconds") + "'"
        if 1700 <= value.year < 2200:
            return f"TIMESTAMP {text}", f"TIMESTAMPTZ {text}"
        # DataFusion counts nanoseconds in the literals of TIMESTAMP, which end with the year 2262.
        far = f"""arrow_cast({text}, 'Timestamp(Microsecond, Some("UTC"))')"""
        return far, f"TIMESTAMPTZ {text}"
    if isinstance(value, datetime.date):
        return (f"DATE '{value}'",) * 2
    if isinstance(value, decimal.Decimal):
        text = f"CAST('{value}' AS DECIMAL({arrow_type.precision},{arrow_type.scale}))"
        return (text,) * 2
    if isinstance(value, float):
        return (f"CAST('{value!r}' AS DOUBLE)",) * 2
    if isinstance(value, bytes):
        return f"X'{value.hex()}'", f"from_hex('{value.hex()}')"
    if isinstance(value, str):
        return ("'" + value.replace("'", "''") + "'",) * 2
    return (repr(value),) * 2


def exact(value):
    """A value that equals another only if both are the same, to the bit."""
    if isinstance(value, float):
        return struct.pack(">d", value)
    if isinstance(value, datetime.datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    if isinstance(value, dict):
        return {name: exact(member) for name, member in value.items()}
    return value


def rows_of_text(rows, schema):
    """Rows as `weir query` writes them in JSON, as values of the columns' types."""
    for row in rows:
        for field in schema:
            text = row.get(field.name)
            if text is not None:
                row[field.name] = value_of_text(text, field.type)
    return rows


def value_of_text(text, kind):
    if pa.types.is_timestamp(kind):
        # Python before 3.11 reads no Z, and fractions of three or six digits only.
        whole, _, fraction = text.removesuffix("Z").partition(".")
        moment = datetime.datetime.fromisoformat(whole).replace(tzinfo=UTC)
        return moment.replace(microsecond=int(fraction.ljust(6, "0")) if fraction else 0)
    if pa.types.is_date(kind):
        return datetime.date.fromisoformat(text)
    if pa.types.is_decimal(kind):
        return decimal.Decimal(text)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return bytes.fromhex(text)
    if pa.types.is_integer(kind):
        return int(text)
    if pa.types.is_floating(kind):
        return float(text)
    if pa.types.is_struct(kind):
        members = {field.name: text[field.name] for field in kind}
        return {n: None if v is None else value_of_text(v, kind.field(n).type) for n, v in members.items()}
    return text


class Sum:
    """A sum in SQL, how its answer is read, and the same over PyIceberg's rows."""

    def __init__(self, weir, duckdb, read, of):
        self.weir, self.duckdb, self.read, self.of = weir, duckdb, read, of


class Near(float):
    """A double whose last digits depend on the order of the sum."""

    def __eq__(self, other):
        return math.isclose(self, other, rel_tol=1e-9)

    def __ne__(self, other):
        return not self == other

    __hash__ = None


def sums(schema):
    """Sums of numbers, lengths of strings, and how many values of each are different."""
    found = []
    for field in schema:
        name, kind = f'"{field.name}"', field.type

        def column(data, name=field.name):
            return [value for value in data[name].to_pylist() if value is not None]

        if pa.types.is_struct(kind):
            continue
        text = f"count(DISTINCT {name})"
        found.append(Sum(text, text, int, lambda data, of=column: len(set(of(data)))))
        if pa.types.is_integer(kind) or pa.types.is_decimal(kind):
            scale = kind.scale if pa.types.is_decimal(kind) else 0
            if pa.types.is_decimal(kind) and kind.precision > 28:
                continue  # The sum has more digits than engines have.
            text = f"sum(CAST({name} AS DECIMAL(38,{scale})))"
            found.append(Sum(text, text, number, lambda data, of=column: number(sum(of(data)))))
        elif pa.types.is_floating(kind):
            text = f"sum(abs({name}))"
            found.append(
                Sum(text, text, near, lambda data, of=column: near(math.fsum(map(abs, of(data)))))
            )
        elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
            text = f"sum(length({name}))"
            found.append(Sum(text, text, number, lambda data, of=column: number(sum(map(len, of(data))))))
    return found


def number(answer):
    return decimal.Decimal(answer or 0)


def near(answer):
    return Near(answer or 0)
