"""Prints a table property. usage: property.py CATALOG_DB TABLE KEY"""

import sys

from pyiceberg.catalog.sql import SqlCatalog

database, name, key = sys.argv[1:]
catalog = SqlCatalog("weir", uri=f"sqlite:///{database}")
print(catalog.load_table(name).properties.get(key))
