"""KServe's own clients, over HTTP and gRPC. Arguments: URL, gRPC ADDRESS, KEY, CA_FILE or ""."""

import asyncio
import json
import ssl
import sys
import types
from importlib.util import find_spec
from pathlib import Path
from typing import Any

# Its package imports its server and clients of Kubernetes and clouds, which its inference client does not need.
package = types.ModuleType("kserve")
package.__path__ = list(getattr(find_spec("kserve"), "submodule_search_locations", None) or ())
sys.modules["kserve"] = package

import grpc  # noqa: E402
import httpx  # noqa: E402
import numpy as np  # noqa: E402
from kserve.inference_client import InferenceGRPCClient, InferenceRESTClient, RESTConfig  # noqa: E402
from kserve.protocol.infer_type import InferInput, InferRequest  # noqa: E402

OBSERVATIONS = np.array([[0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.2, 0.1]], np.float32)


def request(values: Any, binary: bool) -> InferRequest:
    tensor = InferInput("data", list(values.shape), "FP32")
    tensor.set_data_from_numpy(values, binary_data=binary)
    return InferRequest(model_name="tiny-policy", infer_inputs=[tensor], request_id="seven")


def answers(response: Any) -> list[Any]:
    return [json.loads(each) for each in response.outputs[0].as_numpy()]


async def main(url: str, address: str, key: str, ca_file: str) -> dict[str, Any]:
    verify = ssl.create_default_context(cafile=ca_file) if ca_file else True
    rest = InferenceRESTClient(RESTConfig(protocol="v2", verify=verify))
    headers = {"Authorization": f"Bearer {key}"}
    found: dict[str, Any] = {
        "live": await rest.is_server_live(url, headers),
        "ready": await rest.is_server_ready(url, headers),
        "model": await rest.is_model_ready(url, "tiny-policy", headers),
        "answers": [
            answers(await rest.infer(url, request(OBSERVATIONS, binary), "tiny-policy", dict(headers)))
            for binary in (False, True)
        ],
    }
    try:
        await rest.infer(url, request(OBSERVATIONS[:, :3].copy(), True), "tiny-policy", dict(headers))
    except httpx.HTTPStatusError as error:
        found["refused"] = [error.response.status_code, error.response.json()]
    secure = grpc.ssl_channel_credentials(Path(ca_file).read_bytes()) if ca_file else None
    rpc = InferenceGRPCClient(address, creds=secure, use_ssl=bool(ca_file))
    keys = [("authorization", f"Bearer {key}")]
    found["rpc"] = {
        "live": await rpc.is_server_live(headers=keys),
        "ready": await rpc.is_server_ready(headers=keys),
        "model": await rpc.is_model_ready("tiny-policy", headers=keys),
        "answers": [answers(await rpc.infer(request(OBSERVATIONS, binary), headers=keys)) for binary in (False, True)],
    }
    return found


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(*sys.argv[1:]))))
