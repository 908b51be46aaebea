"""What a request to the retrieval service can be answered with when it is not answered."""

from tfsage.errors import TfsageError


class Problem(TfsageError):
    """A request that cannot be answered. status: the HTTP status that says whose fault it is."""

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status
