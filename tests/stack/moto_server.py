"""moto_server with the check that AWS Glue makes and moto leaves out: UpdateTable with a VersionId that
is not the table's is refused, so that of two writers with one base only one is acknowledged.

usage: moto_server.py -H HOST -p PORT
"""

import sys
import threading

from moto.core.exceptions import JsonRESTError
from moto.glue import responses
from moto.server import main

lock = threading.Lock()
update_table = responses.GlueResponse.update_table


def update_table_of_version(self):
    wanted = self.parameters.get("VersionId")
    name = self.parameters["TableInput"]["Name"]
    with lock:
        if wanted is not None:
            table = self.glue_backend.get_table(self.parameters.get("DatabaseName"), name)
            version = str(table.as_dict()["VersionId"])
            if version != str(wanted):
                raise JsonRESTError(
                    "ConcurrentModificationException",
                    f"Update table failed due to concurrent modifications: {version}, not {wanted}.",
                )
        return update_table(self)


responses.GlueResponse.update_table = update_table_of_version

if __name__ == "__main__":
    main(sys.argv[1:])
