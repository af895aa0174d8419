"""Stand-ins of Glue and S3, as the readers are told of them."""

REGION = "us-east-1"


def glue_catalog(glue, s3):
    """PyIceberg's own Glue catalog at these endpoints."""
    from pyiceberg.catalog.glue import GlueCatalog

    options = {}
    for service, endpoint in (("glue", glue), ("s3", s3)):
        options |= {
            f"{service}.endpoint": endpoint,
            f"{service}.region": REGION,
            f"{service}.access-key-id": "test",
            f"{service}.secret-access-key": "test",
        }
    return GlueCatalog("glue", **options)


def use_s3(connection, endpoint):
    """Lets a connection of DuckDB, which has httpfs, read from S3 at this endpoint."""
    connection.execute(
        "CREATE SECRET (TYPE s3, KEY_ID 'test', SECRET 'test', REGION '" + REGION + "', "
        "ENDPOINT '" + endpoint.removeprefix("http://") + "', URL_STYLE 'path', USE_SSL false)"
    )
