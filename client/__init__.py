"""The Python client: predictions and management over REST and gRPC, with the same methods and the same errors.

with RestClient() as client:  # or GrpcClient()
    client.predict("imagenet", Path("cat.jpg"), parameters={"top_k": 3}).json()

async with AsyncRestClient() as client:  # or AsyncGrpcClient()
    (await client.predict("imagenet", Path("cat.jpg"))).json()
"""

from client.answer import Answer
from client.asynchronous.rest import AsyncRestClient
from client.asynchronous.rpc import AsyncGrpcClient
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
from client.inference import Inference
from client.inputs.images import JpegImage
from client.inputs.waveform import Waveform
from client.management import Management
from client.many.batch import Result
from client.model_status import ModelStatus, RegisteredModel, Worker
from client.rest import RestClient
from client.rest_management import RestManagement
from client.rpc import GrpcClient
from client.rpc_management import GrpcManagement
from client.server import Server

__all__ = [
    "Answer",
    "AsyncGrpcClient",
    "AsyncRestClient",
    "BadRequest",
    "ClientError",
    "Conflict",
    "DeadlineExceeded",
    "Forbidden",
    "GrpcClient",
    "GrpcManagement",
    "Inference",
    "InvalidInput",
    "JpegImage",
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
    "Result",
    "Server",
    "ServerError",
    "TooLarge",
    "TooManyRequests",
    "Unauthorized",
    "Unavailable",
    "Unreachable",
    "UnsupportedMedia",
    "Waveform",
    "Worker",
]
