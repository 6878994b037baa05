"""Exit 0 when the web process beside this one is ready to work."""  # noqa: INP001 - a script, not a package's module

import http.client
import os
import sys

connection = http.client.HTTPConnection("127.0.0.1", 8000, timeout=8)
connection.request("GET", "/readyz", headers={"Host": os.environ["ALLOWED_HOSTS"].split(",")[0].strip().lstrip(".")})
sys.exit(connection.getresponse().status != http.HTTPStatus.OK)
