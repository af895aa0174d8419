"""Acts on a table as another engine does, through PyIceberg.

usage: foreign.py CATALOG_DB TABLE ACTION [ARGUMENT...]

  delete PARTITION FIRST LAST   delete the rows of these offsets (copy on write)
  delete-where FILTER           delete the rows of a filter as PyIceberg writes it
  rewrite                       replace every file by one with the same rows
  overwrite PARTITION OFFSET    delete one row and append it again unchanged
  append PARTITION OFFSET       append a copy of one row
  expire                        expire every snapshot but the current one
  set KEY VALUE                 set a table property
  unset KEY                     remove a table property
  rollback STEPS                make the ancestor STEPS back current
  snapshots                     print the ids of the current chain, newest first

Prints the current snapshot's id.
"""

import sys

from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.expressions import And, EqualTo, GreaterThanOrEqual, LessThanOrEqual


def chain(table):
    by_id = {snapshot.snapshot_id: snapshot for snapshot in table.metadata.snapshots}
    ids, current = [], table.metadata.current_snapshot_id
    while current in by_id:
        ids.append(current)
        current = by_id[current].parent_snapshot_id
    return ids


def offsets(partition, first, last):
    return And(
        EqualTo("_kafka_partition", int(partition)),
        And(GreaterThanOrEqual("_offset", int(first)), LessThanOrEqual("_offset", int(last))),
    )


def act(table, action, arguments):
    if action == "delete":
        table.delete(offsets(*arguments))
    elif action == "delete-where":
        table.delete(arguments[0])
    elif action == "rewrite":
        table.overwrite(table.scan().to_arrow())
    elif action == "overwrite":
        partition, offset = arguments
        one = offsets(partition, offset, offset)
        table.overwrite(table.scan(row_filter=one).to_arrow(), overwrite_filter=one)
    elif action == "append":
        partition, offset = arguments
        table.append(table.scan(row_filter=offsets(partition, offset, offset)).to_arrow())
    elif action == "expire":
        current = table.metadata.current_snapshot_id
        others = [s.snapshot_id for s in table.metadata.snapshots if s.snapshot_id != current]
        table.maintenance.expire_snapshots().by_ids(others).commit()
    elif action == "set":
        with table.transaction() as transaction:
            transaction.set_properties({arguments[0]: arguments[1]})
    elif action == "unset":
        with table.transaction() as transaction:
            transaction.remove_properties(arguments[0])
    elif action == "rollback":
        target = chain(table)[int(arguments[0])]
        table.manage_snapshots().rollback_to_snapshot(target).commit()
    elif action == "snapshots":
        print(*chain(table), sep="\n")
        sys.exit(0)
    else:
        sys.exit(f"unknown action {action}\n{__doc__}")


def main():
    database, name, action, *arguments = sys.argv[1:]
    catalog = SqlCatalog("weir", uri=f"sqlite:///{database}")
    act(catalog.load_table(name), action, arguments)
    print(catalog.load_table(name).metadata.current_snapshot_id)


if __name__ == "__main__":
    main()
