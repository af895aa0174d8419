"""Signs the request of a token for Amazon MSK with botocore, for the time that the token has.

usage: msk.py KEY_ID SECRET SESSION_TOKEN REGION TOKEN     (SESSION_TOKEN may be empty)

Prints "the same", or both URLs.
"""

import base64
import datetime
import sys
from unittest import mock
from urllib.parse import parse_qs, parse_qsl, urlsplit

import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials


def main():
    key, secret, session, region, token = sys.argv[1:]
    ours = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
    at = datetime.datetime.strptime(parse_qs(urlsplit(ours).query)["X-Amz-Date"][0], "%Y%m%dT%H%M%SZ")
    request = AWSRequest(
        method="GET",
        url=f"https://kafka.{region}.amazonaws.com/",
        params={"Action": "kafka-cluster:Connect"},
    )
    credentials = Credentials(key, secret, session or None)
    signer = botocore.auth.SigV4QueryAuth(credentials, "kafka-cluster", region, expires=900)
    with mock.patch.object(botocore.auth, "get_current_datetime", lambda *_, **__: at):
        signer.add_auth(request)
    query = dict(parse_qsl(urlsplit(ours).query))
    assert query.pop("User-Agent").startswith("weir/")
    same = dict(parse_qsl(urlsplit(request.url).query)) == query
    same = same and urlsplit(ours)[:3] == urlsplit(request.url)[:3]
    print("the same" if same else f"{ours}\n{request.url}")


if __name__ == "__main__":
    main()
