"""How each engine of engines.py is asked: its literals, its names, its words for a past state, and its
answers as plain values, in which two are equal only if they are the same."""

import base64
import datetime
import decimal
import json
import os
import struct
import urllib.request

import pyarrow as pa
from values import UTC, Literal

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=UTC)
REGION = "us-east-1"


def micros(moment):
    return (moment - EPOCH) // datetime.timedelta(microseconds=1)


def plain(value, kind):
    """A value of Python as what can be compared: times as µs, doubles to the bit, structs as tuples."""
    if value is None:
        return None
    if pa.types.is_timestamp(kind):
        return value if isinstance(value, int) else micros(value)
    if pa.types.is_floating(kind):
        return struct.pack(">d", float(value))
    if pa.types.is_decimal(kind):
        return decimal.Decimal(value).quantize(decimal.Decimal(1).scaleb(-kind.scale), context=WIDE)
    if pa.types.is_struct(kind):
        members = value if isinstance(value, dict) else dict(zip((f.name for f in kind), value))
        return tuple(plain(members[field.name], field.type) for field in kind)
    if isinstance(value, bytearray):
        return bytes(value)
    return value


WIDE = decimal.Context(prec=60)


class Refused(Exception):
    """What an engine says instead of an answer."""


class Trino:
    """Over HTTP, as its own clients do. Values come as JSON."""

    quote = '"'

    def __init__(self, endpoint):
        self.endpoint = endpoint

    def version(self):
        return self.run("SELECT node_version FROM system.runtime.nodes")[0][0]

    def add(self, name, place):
        options = {"iceberg.catalog.type": place["kind"]}
        if place["kind"] == "glue":
            options |= {
                "hive.metastore.glue.region": REGION,
                "hive.metastore.glue.endpoint-url": place["glue"],
                "hive.metastore.glue.aws-access-key": "test",
                "hive.metastore.glue.aws-secret-key": "test",
                "hive.metastore.glue.default-warehouse-dir": "s3://lake/",
                "fs.native-s3.enabled": "true",
                "s3.region": REGION,
                "s3.endpoint": place["s3"],
                "s3.path-style-access": "true",
                "s3.aws-access-key": "test",
                "s3.aws-secret-key": "test",
            }
        else:
            options |= {
                "iceberg.jdbc-catalog.catalog-name": name,
                "iceberg.jdbc-catalog.driver-class": "org.sqlite.JDBC",
                "iceberg.jdbc-catalog.connection-url": "jdbc:sqlite:" + place["database"],
                "iceberg.jdbc-catalog.default-warehouse-dir": "file://" + place["warehouse"],
                "iceberg.jdbc-catalog.schema-version": "V1",
                "fs.native-local.enabled": "true",
                "local.location": "/",
            }
        listed = ", ".join(f"\"{key}\" = '{value}'" for key, value in options.items())
        self.run(f'DROP CATALOG IF EXISTS "{name}"')
        self.run(f'CREATE CATALOG "{name}" USING iceberg WITH ({listed})')

    def run(self, sql, session=""):
        headers = {"X-Trino-User": "weir", "X-Trino-Time-Zone": "UTC", "X-Trino-Session": session}
        # Without it times come with milliseconds.
        headers["X-Trino-Client-Capabilities"] = "PARAMETRIC_DATETIME"
        request = urllib.request.Request(self.endpoint + "/v1/statement", sql.encode(), headers)
        rows = []
        while True:
            with urllib.request.urlopen(request, timeout=600) as reply:
                page = json.load(reply)
            if "error" in page:
                raise Refused(page["error"]["message"])
            rows.extend(page.get("data", []))
            if "nextUri" not in page:
                return rows
            request = urllib.request.Request(page["nextUri"], headers=headers)

    def select(self, field):
        return f'"{field.name}"'

    def value(self, value, kind):
        if value is None:
            return None
        if pa.types.is_timestamp(kind):
            return micros(datetime.datetime.fromisoformat(value.replace(" UTC", "+00:00")))
        if pa.types.is_date(kind):
            return datetime.date.fromisoformat(value)
        if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
            return base64.b64decode(value)
        return value

    def at(self, state):
        if state is None:
            return ""
        if "time_ms" in state:
            return f" FOR TIMESTAMP AS OF TIMESTAMP '{moment(state['time_ms'])} UTC'"
        return f" FOR VERSION AS OF {state['id']}" if "id" in state else f" FOR VERSION AS OF '{state['tag']}'"

    def metadata(self, table, what):
        database, name = table.rsplit(".", 1)
        return f'{database}."{name.strip(chr(34))}${what}"'

    def literal(self, value, kind):
        if isinstance(value, datetime.datetime):
            return f"TIMESTAMP '{value.astimezone(UTC).isoformat(' ', 'microseconds')[:26]} UTC'"
        if isinstance(value, int) and not isinstance(value, bool):
            return f"{'INTEGER' if kind == pa.int32() else 'BIGINT'} '{value}'"
        if isinstance(value, float):
            return f"DOUBLE '{value!r}'"
        if isinstance(value, decimal.Decimal):
            return f"CAST(DECIMAL '{value:f}' AS DECIMAL({kind.precision},{kind.scale}))"
        return Literal(value, kind).duckdb if not isinstance(value, bytes) else f"X'{value.hex()}'"


class Spark:
    """A session within this process. `jars` is the class path of its Iceberg."""

    quote = "`"

    def __init__(self, jars):
        os.environ |= {"SPARK_LOCAL_IP": "127.0.0.1", "AWS_REGION": REGION, "TZ": "UTC"}
        os.environ |= {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
        from pyspark.sql import SparkSession

        settings = {
            "spark.jars": ",".join(jars),
            "spark.driver.extraClassPath": ":".join(jars),
            "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
            "spark.ui.enabled": "false",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.memory": "2g",
            "spark.sql.session.timeZone": "UTC",
            "spark.sql.shuffle.partitions": "2",
            "spark.sql.parser.escapedStringLiterals": "true",
            "spark.log.level": "ERROR",
        }
        builder = SparkSession.builder.master("local[2]")
        for key, value in settings.items():
            builder = builder.config(key, value)
        self.session = builder.getOrCreate()

    def version(self):
        iceberg = self.session._jvm.org.apache.iceberg.IcebergBuild.version()
        return f"{self.session.version} with Iceberg {iceberg}"

    def add(self, name, place):
        options = {"": "org.apache.iceberg.spark.SparkCatalog", ".type": place["kind"], ".cache-enabled": "false"}
        if place["kind"] == "glue":
            options |= {
                ".glue.endpoint": place["glue"],
                ".s3.endpoint": place["s3"],
                ".s3.path-style-access": "true",
                ".client.region": REGION,
                ".warehouse": "s3://lake/",
                ".io-impl": "org.apache.iceberg.aws.s3.S3FileIO",
            }
        else:
            options |= {".uri": "jdbc:sqlite:" + place["database"], ".warehouse": "file://" + place["warehouse"]}
        for key, value in options.items():
            self.session.conf.set(f"spark.sql.catalog.{name}{key}", value)

    def run(self, sql, session=""):
        try:
            return [list(row) for row in self.session.sql(sql).collect()]
        except Exception as error:
            raise Refused(str(error).split("\n\nJVM stacktrace")[0][:800]) from None

    def select(self, field):
        # Python's own times end where time zones push them over the first or last day.
        return f"unix_micros(`{field.name}`)" if pa.types.is_timestamp(field.type) else f"`{field.name}`"

    def value(self, value, kind):
        return value.asDict() if pa.types.is_struct(kind) and value is not None else value

    def at(self, state):
        if state is None:
            return ""
        if "time_ms" in state:
            return f" TIMESTAMP AS OF '{moment(state['time_ms'])}'"
        return f" VERSION AS OF {state['id']}" if "id" in state else f" VERSION AS OF '{state['tag']}'"

    def metadata(self, table, what):
        return f"{table}.{what}"

    def literal(self, value, kind):
        if isinstance(value, datetime.datetime):
            return f"TIMESTAMP '{value.astimezone(UTC).isoformat(' ', 'microseconds')[:26]}Z'"
        if isinstance(value, int) and not isinstance(value, bool):
            return f"CAST('{value}' AS {'INT' if kind == pa.int32() else 'BIGINT'})"
        if isinstance(value, bytes):
            return f"X'{value.hex()}'"
        if isinstance(value, str):
            # A backslash is a backslash, by the setting above; a quote stands within quotes of the other kind.
            return f'"{value}"' if "'" in value else f"'{value}'"
        return Literal(value, kind).duckdb


def moment(time_ms):
    return datetime.datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
