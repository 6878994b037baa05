"""What can go wrong between a pipeline and the server."""

from modelnotary.errors import ModelNotaryError


class ClientError(ModelNotaryError):
    """Root of the client's errors."""

    code = "client-error"


class UnreachableError(ClientError):
    """No answer: the server cannot be reached, or it answers with a fault of its own. Never take it for a yes."""

    code = "unreachable"


class ProblemError(ClientError):
    """The server refused, and said why (RFC 9457).

    Attributes:
        status: HTTP status.
        problem: The problem document; `code` in it is stable.
    """

    code = "problem"

    def __init__(self, status: int, problem: dict[str, object]) -> None:
        self.status = status
        self.problem = problem
        super().__init__(f"{problem.get('code', status)}: {problem.get('detail', 'no reason was given')}")

    @property
    def problem_code(self) -> str:
        """The stable name of the problem."""
        return str(self.problem.get("code", ""))
