"""What OpenAI's and NVIDIA's clients make of 429. Arguments: HTTPS and gRPC addresses, a key of few calls, CA file."""

import json
import ssl
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import tritonclient.grpc
import tritonclient.http
from openai import DefaultHttpxClient, OpenAI, RateLimitError
from tritonclient.utils import InferenceServerException

TRIES = 50


def until_refused(call: Callable[[], Any], error: type[Exception]) -> Any:
    for _ in range(TRIES):
        try:
            call()
        except error as raised:
            return raised
    raise AssertionError(f"{TRIES} calls were answered")


def main(address: str, rpc: str, key: str, ca_file: str) -> dict[str, Any]:
    http = DefaultHttpxClient(verify=ssl.create_default_context(cafile=ca_file), trust_env=False)
    client = OpenAI(base_url=f"https://{address}/v1", api_key=key, max_retries=0, http_client=http)

    def embed(client: OpenAI) -> int:
        return len(client.embeddings.create(model="tiny-embedding", input=["Ja", "Where"]).data)

    error = until_refused(lambda: embed(client), RateLimitError)
    found = {"OpenAI": [type(error).__name__, error.status_code, error.body, error.response.headers["retry-after"]]}
    again = {"OpenAI, again": embed(client.with_options(max_retries=5))}
    one = tritonclient.http.InferenceServerClient(address, ssl=True, ssl_options={"ca_certs": ca_file})
    other = tritonclient.grpc.InferenceServerClient(rpc, ssl=True, root_certificates=ca_file)
    for name, library, server in (("v2, HTTP", tritonclient.http, one), ("v2, gRPC", tritonclient.grpc, other)):
        tensor = library.InferInput("data", [1, 4], "FP32")
        tensor.set_data_from_numpy(np.zeros((1, 4), np.float32))

        def infer(server: Any = server, tensor: Any = tensor) -> Any:
            return server.infer("tiny-policy", [tensor], headers={"authorization": f"Bearer {key}"})

        error = until_refused(infer, InferenceServerException)
        found[name] = [error.status(), error.message()]
    return {**found, **again}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(*sys.argv[1:])) + "\n")
