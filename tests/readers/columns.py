"""Shows a table's columns and partitions as PyIceberg sees them.

usage: columns.py CATALOG_DB TABLE [COLUMN]

Prints one JSON object: `columns`, each with `required` and `doc`, and `partitions`, how many rows stand in
those of each partition field. COLUMN is made required before, as another writer may do.
"""

import collections
import json
import sys

from ask import Readers


def main():
    database, name, *required = sys.argv[1:]
    table = Readers(None, None, database, name).table
    for column in required:
        with table.update_schema(allow_incompatible_changes=True) as update:
            update.update_column(column, required=True)
    columns = {
        field.name: {"type": str(field.field_type), "required": field.required, "doc": field.doc}
        for field in table.schema().fields
    }
    partitions = collections.Counter()
    for task in table.scan().plan_files():
        spec = table.specs()[task.file.spec_id]
        partitions[spec.fields[0].name] += task.file.record_count
    print(json.dumps({"columns": columns, "partitions": partitions}))


if __name__ == "__main__":
    main()
