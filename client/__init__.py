"""The callers' package: predictions and management, over REST and gRPC, with the same calls and the same errors.

with RestClient() as client:  # or GrpcClient()
    client.predict("imagenet", Path("cat.jpg"), parameters={"top_k": 3}).json()
"""

from client.answer import Answer
from client.errors import (
    BadRequest,
    ClientError,
    Conflict,
    DeadlineExceeded,
    Forbidden,
    InvalidInput,
    NotAcceptable,
    NotFound,
    NotOffered,
    OutOfMemory,
    RequestError,
    ServerError,
    TooLarge,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    Unreachable,
    UnsupportedMedia,
)
from client.management import Management
from client.model_status import ModelStatus, RegisteredModel, Worker
from client.rest import RestClient
from client.rest_management import RestManagement
from client.rpc import GrpcClient
from client.rpc_management import GrpcManagement
from client.server import Server

__all__ = [
    "Answer",
    "BadRequest",
    "ClientError",
    "Conflict",
    "DeadlineExceeded",
    "Forbidden",
    "GrpcClient",
    "GrpcManagement",
    "InvalidInput",
    "Management",
    "ModelStatus",
    "NotAcceptable",
    "NotFound",
    "NotOffered",
    "OutOfMemory",
    "RegisteredModel",
    "RequestError",
    "RestClient",
    "RestManagement",
    "Server",
    "ServerError",
    "TooLarge",
    "TooManyRequests",
    "Unauthorized",
    "Unavailable",
    "Unreachable",
    "UnsupportedMedia",
    "Worker",
]
