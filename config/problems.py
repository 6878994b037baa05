"""A page for each problem type, so that the `type` of a problem document leads somewhere."""

from django.http import Http404, HttpRequest, HttpResponse

from modelnotary.errors import ModelNotaryError

_GENERAL = {
    "validation-failed": "A field of the request has a wrong value. `errors` names each one by its JSON pointer.",
    "malformed-json": "The body is not JSON, names a key twice, or holds NaN or Infinity.",
    "not-authenticated": "The request carries no bearer token.",
    "not-found": "Nothing is served at this address.",
    "method-not-allowed": "The address exists and does not take this method.",
    "unsupported-media-type": "The body has a content type that the address does not take.",
    "not-acceptable": "The address cannot answer in the content type asked for.",
    "insufficient-scope": "The token lacks the scope that the message names.",
    "permission-denied": "The caller may not do this.",
    "payload-too-large": "The body is longer than the address takes.",
    "quota-exceeded": "Too many requests; the header Retry-After says when to ask again.",
    "bad-request": "The request is not understood, for instance because its host name is not this server's.",
    "length-required": "An upload needs the header Content-Length.",
    "storage-full": "A disk of the server is full, its own or the database's. Nothing was kept; ask its operator.",
    "database-unavailable": "The database cannot be reached, is starting, or was too busy. Ask again in a moment.",
    "internal-error": "A fault of the server. Its log has the details under the trace id.",
}


def _own(root: type[ModelNotaryError] = ModelNotaryError) -> dict[str, str]:
    """Give the words of every error that the product knows: whatever can be raised has been imported by then."""
    below = [item for kind in root.__subclasses__() for item in _own(kind).items()]
    return {root.code: (root.__doc__ or "").strip()} | dict(below)


def problem_page(_request: HttpRequest, code: str) -> HttpResponse:
    """Say what a problem type means."""
    words = (_own() | _GENERAL).get(code)
    if words is None:
        raise Http404(code)
    return HttpResponse(f"{code}\n\n{words}\n", content_type="text/plain; charset=utf-8")
