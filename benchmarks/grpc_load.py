"""Load on TorchServe's gRPC port: calls without a message class, because the client shares the processor."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from time import perf_counter

import grpc

from client.stubs.inference_pb2 import PredictionResponse, PredictionsRequest
from deploy.tuning.sample import Reply, Sample

METHOD = "/org.pytorch.serve.grpc.inference.InferenceAPIsService/Predictions"


def closed_loop(
    address: str,
    model: str,
    bodies: Sequence[bytes],
    concurrency: int,
    seconds: float,
    warm_up: float,
    content_type: bytes = b"image/jpeg",
) -> Sample:
    """As many requests as the server answers, `concurrency` at a time; those of the first `warm_up` do not count."""
    requests = [
        PredictionsRequest(model_name=model, input={"body": body, "content-type": content_type}).SerializeToString()
        for body in bodies
    ]
    replies: list[Reply] = []
    started = perf_counter() + warm_up
    end = started + seconds
    limit = [("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(address, limit) as channel:
        call = channel.unary_unary(METHOD, _registered_method=False)

        def worker(first: int) -> None:
            number = first
            while (sent := perf_counter()) < end:
                index = number % len(requests)
                try:
                    body = PredictionResponse.FromString(call(requests[index], timeout=30)).prediction
                    status = 200 if body.startswith(b'{"predictions"') else 500
                except grpc.RpcError:
                    status, body = 0, b""
                if sent >= started:
                    replies.append(Reply(index, status, perf_counter() - sent, body))
                number += concurrency

        threads = [threading.Thread(target=worker, args=(first,)) for first in range(concurrency)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return Sample(replies, seconds)
